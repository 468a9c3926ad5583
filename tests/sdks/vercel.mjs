// The same by Vercel's AI SDK: node vercel.mjs BASE_URL QUESTION
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, prompt] = process.argv.slice(2);
let asked = [];
const tools = {
  look_up: tool({
    description: "Find a person's room.",
    inputSchema: z.object({ email: z.string() }),
    execute: async ({ email }) => (asked.push(["look_up", email]), { room: "B 12", owner: "Zanele Khumalo" }),
  }),
  book: tool({
    description: "Book a room for its owner.",
    inputSchema: z.object({ room: z.string(), owner: z.string() }),
    execute: async ({ room, owner }) => (asked.push(["book", room, owner]), `${room} is booked for ${owner}`),
  }),
};
const model = createOpenAICompatible({ name: "netgpt", baseURL, apiKey: "none" })("netgpt");
const asking = { model, tools, prompt, stopWhen: stepCountIs(6), maxRetries: 0 };
const { text } = await generateText(asking);
console.log(JSON.stringify({ said: text, asked }));
asked = [];
const steps = await streamText(asking).steps;
console.log(JSON.stringify({ said: steps[steps.length - 1].text, asked }));
