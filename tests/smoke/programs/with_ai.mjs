// The Vercel AI SDK with the providers of OpenAI, Anthropic and Google: ask, stream, an object, and a tool's result.
import { generateText, stepCountIs, streamText, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { z } from "zod";

const { JACKFIELD_URL: url, JACKFIELD_TOKEN: apiKey, MODEL: model, WEATHER: known } = process.env;
const said = "Grüß Gott from upstream.";
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey });
const models = {
  chat: openai.chat(model),
  responses: openai.responses(model),
  messages: createAnthropic({ baseURL: `${url}/v1`, apiKey })(model),
  generateContent: createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey })(model),
};
const tools = {
  weather: tool({
    description: "Tells the weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `${city}: ${known}`,
  }),
};

function same(found, wanted, what) {
  if (!found.includes(wanted)) throw new Error(`${what}: ${found}`);
}

async function check(name, chosen) {
  const asked = { model: chosen, system: "Be brief.", prompt: "Hello", maxRetries: 0 };
  same((await generateText(asked)).text, said, "generateText");
  same(await streamText(asked).text, said, "streamText");
  const armed = { model: chosen, prompt: "The weather in Oslo?", tools, stopWhen: stepCountIs(3), maxRetries: 0 };
  same((await generateText(armed)).text, known, "generateText with a tool");
  same(await streamText(armed).text, known, "streamText with a tool");
  console.log(`ok ${name}`);
}

for (const [name, chosen] of Object.entries(models)) {
  try {
    await check(name, chosen);
  } catch (problem) {
    console.error(problem);
    console.log(`no ${name}: ${String(problem).replaceAll("\n", " ").slice(0, 400)}`);
  }
}
