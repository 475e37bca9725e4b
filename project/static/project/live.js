// Keeps parts of a page fresh and presses the buttons in them that have an address, without leaving the page: what
// stands at `data-live` is asked for again and again while the page is seen. The page works without it.
(() => {
  const EVERY = 2000;
  const note = document.querySelector("[data-live-note]");

  const say = (text, old) => {
    if (!note) return;
    note.hidden = false;
    note.textContent = text;
    note.classList.toggle("jf-warning", old);
  };

  for (const box of document.querySelectorAll("[data-live]")) {
    const show = (html) => {
      const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-live]");
      if (!fresh || box.querySelector("button:active")) return; // no button goes away under the hand
      const held = box.contains(document.activeElement) ? document.activeElement.dataset.at : "";
      box.replaceChildren(...fresh.childNodes);
      if (held) box.querySelector(`[data-at="${CSS.escape(held)}"]`)?.focus();
    };

    const refresh = async () => {
      try {
        const answer = await fetch(box.dataset.live, { redirect: "manual" });
        // Signed out, or no longer allowed: the page says so.
        if (answer.type === "opaqueredirect" || answer.status === 403) return location.reload();
        if (!answer.ok) throw new Error();
        show(await answer.text());
        box.classList.remove("jf-stale");
        say(`Live, as of ${new Date().toLocaleTimeString()}`, false);
      } catch {
        box.classList.add("jf-stale"); // what is shown is old
        say("Jackfield does not answer just now. It is asked again.", true);
      }
    };

    const again = async () => {
      if (!document.hidden) await refresh();
      setTimeout(again, EVERY);
    };

    box.addEventListener("click", async (event) => {
      const button = event.target.closest("button[formaction]");
      if (!button) return;
      event.preventDefault();
      button.disabled = true;
      const asked = new FormData();
      asked.set("do", button.value);
      asked.set("csrfmiddlewaretoken", button.form.querySelector("[name=csrfmiddlewaretoken]").value);
      try {
        await fetch(button.getAttribute("formaction"), { method: "POST", body: asked, redirect: "manual" });
      } finally {
        setTimeout(refresh, 300); // by then the processes know
      }
    });

    say("Live", false);
    setTimeout(again, EVERY);
  }
})();
