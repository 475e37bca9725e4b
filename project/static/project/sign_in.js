// Presses "Check now" when it is time, counts the seconds and copies the code. The page works without it.
(() => {
  const box = document.querySelector("[data-sign-in]");
  const form = box && box.querySelector("form");
  const says = box && box.querySelector("[data-says]");
  const clock = box && box.querySelector("[data-clock]");
  if (!clock) return;

  const copy = box.querySelector("[data-copy]");
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const code = document.getElementById(copy.dataset.copy);
    try {
      await navigator.clipboard.writeText(code.textContent);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no permission, or plain HTTP: the person presses the keys
      copy.textContent = "Selected";
    }
  });

  let ends = Date.now() + Number(box.dataset.left) * 1000;
  const tick = setInterval(() => {
    const left = Math.max(0, Math.round((ends - Date.now()) / 1000));
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  }, 1000);

  const over = (text) => {
    clearInterval(tick);
    says.textContent = text;
    says.classList.add("jf-warning");
    box.querySelectorAll("[data-waits]").forEach((part) => (part.hidden = true));
    box.querySelector("[data-begins]").hidden = false;
  };

  const later = (seconds) => setTimeout(check, Math.max(1, seconds) * 1000);

  async function check() {
    const asked = new FormData(form);
    asked.set("do", "check");
    let told;
    try {
      const answer = await fetch(form.action, { method: "POST", body: asked, headers: { Accept: "application/json" }, redirect: "manual" });
      if (!answer.ok) return location.reload(); // signed out, or no longer allowed: the page says so
      told = await answer.json();
    } catch {
      if (Date.now() > ends) return over("The code has ended before it was entered. Begin again.");
      says.textContent = "Jackfield did not answer just now. It is asked again.";
      return later(5);
    }
    if (told.state === "done") return location.assign(told.back);
    if (!["waiting", "slower", "unreachable"].includes(told.state)) return over(told.says);
    says.textContent = told.says;
    ends = Date.now() + told.left * 1000;
    later(told.again);
  }

  later(Number(box.dataset.again));
})();
