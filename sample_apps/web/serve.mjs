// Serves this folder on this machine, with the headers (COOP, COEP) that threads in a page need.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const HEADERS = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const server = createServer(async ({ url }, response) => {
  try {
    const path = normalize(decodeURIComponent(new URL(url, "http://localhost").pathname));
    const content = await readFile(join(import.meta.dirname, path.endsWith("/") ? `${path}index.html` : path));
    response.writeHead(200, { ...HEADERS, "Content-Type": TYPES[extname(path) || ".html"] ?? "application/octet-stream" }).end(content);
  } catch {
    response.writeHead(404, HEADERS).end("not found");
  }
});
server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => console.log(`http://localhost:${server.address().port}/`));
