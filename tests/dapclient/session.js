// One debug session by Microsoft's DebugClient, begun from a launch.json as VS Code does: run into a breakpoint, look,
// step, go on.
//
//     node session.js LAUNCH_JSON SOURCE LINE
//
// Prints `waiting` once the breakpoint is set; then, as one line of JSON, what was seen at the stop.
"use strict";

const fs = require("fs");
const path = require("path");
const { DebugClient } = require("@vscode/debugadapter-testsupport");

const LIMIT_MS = 20000;

// launch.json may have comments and trailing commas; strings are passed over whole.
function parseJsonc(text) {
  const keepStrings = (_, string) => string ?? "";
  const bare = text.replace(/^\uFEFF/, "").replace(/("(?:\\.|[^"\\])*")|\/\/.*|\/\*[^]*?\*\//g, keepStrings);
  return JSON.parse(bare.replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, keepStrings));
}

function readConfiguration(file) {
  const workspace = path.dirname(path.dirname(file));
  const text = fs.readFileSync(file, "utf8").replaceAll("${workspaceFolder}", workspace);
  return parseJsonc(text).configurations.find((entry) => entry.name === "Debug backend plugin");
}

async function lookAround(client, threadId) {
  const { stackFrames } = (await client.stackTraceRequest({ threadId })).body;
  const frameId = stackFrames[0].id;
  const { scopes } = (await client.scopesRequest({ frameId })).body;
  const { variables } = (await client.variablesRequest({ variablesReference: scopes[0].variablesReference })).body;
  const watched = await client.evaluateRequest({ expression: "number + 1", frameId, context: "watch" });
  const { threads } = (await client.threadsRequest()).body;
  return {
    frames: stackFrames.map((frame) => [frame.name, frame.source.path, frame.line]),
    threads: threads.map((thread) => thread.name),
    variables: Object.fromEntries(variables.map((variable) => [variable.name, variable.value])),
    watched: watched.body.result,
  };
}

async function run(file, source, line) {
  const configuration = readConfiguration(file);
  const client = new DebugClient("node", "none: it is attached to", configuration.type);
  client.defaultTimeout = LIMIT_MS;
  await client.start(configuration.connect.port);
  await client.initializeRequest();
  const initialized = client.waitForEvent("initialized", LIMIT_MS);
  const attached = client.attachRequest(configuration);
  await initialized;
  const points = await client.setBreakpointsRequest({ source: { path: source }, breakpoints: [{ line }] });
  await client.configurationDoneRequest();
  await attached;
  const stopped = client.waitForEvent("stopped", LIMIT_MS);
  console.log("waiting");
  const { threadId, reason } = (await stopped).body;
  const seen = await lookAround(client, threadId);
  const stepped = client.waitForEvent("stopped", LIMIT_MS);
  await client.nextRequest({ threadId });
  await stepped;
  const next = (await client.stackTraceRequest({ threadId })).body.stackFrames[0].line;
  await client.continueRequest({ threadId });
  await client.disconnectRequest({ terminateDebuggee: true });
  const verified = points.body.breakpoints.map((point) => point.verified);
  console.log(JSON.stringify({ configuration, verified, reason, next, ...seen }));
}

run(process.argv[2], process.argv[3], Number(process.argv[4])).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
