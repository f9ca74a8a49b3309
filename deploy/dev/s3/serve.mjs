// An imitation of S3 on a port of its own, which it prints: PutObject and GetObject of one bucket, in memory, for one key.
// Signatures are looked at by the package aws4. It ends when its standard input does.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const aws4 = require("aws4");

const [bucket, region, accessKeyId, secretAccessKey] = process.argv.slice(2);
const objects = new Map();

const isSigned = (request, body) => {
  const told = request.headers.authorization ?? "";
  const names = /SignedHeaders=([^,]+)/.exec(told)?.[1].split(";") ?? [];
  const headers = Object.fromEntries(names.map((name) => [name, request.headers[name]]));
  const isWhole = ["host", "x-amz-content-sha256", "x-amz-date"].every((name) => names.includes(name));
  const digest = createHash("sha256").update(body).digest("hex");
  // Without the body, whose digest is a header: with one, aws4 would sign headers that nobody sent.
  const asked = { service: "s3", region, method: request.method, path: request.url, headers };
  const { Authorization } = aws4.sign(asked, { accessKeyId, secretAccessKey }).headers;
  return isWhole && digest === request.headers["x-amz-content-sha256"] && told === Authorization;
};

const answer = (request, body, response) => {
  const refuse = (status, code) => response.writeHead(status).end(`<Error><Code>${code}</Code></Error>`);
  if (!isSigned(request, body)) return refuse(403, "SignatureDoesNotMatch");
  if (!request.url.startsWith(`/${bucket}/`)) return refuse(404, "NoSuchBucket");
  if (request.method === "PUT") {
    objects.set(request.url, { body, type: request.headers["content-type"] });
    return response.writeHead(200).end();
  }
  const object = objects.get(request.url);
  if (!object) return refuse(404, "NoSuchKey");
  return response.writeHead(200, { "content-type": object.type }).end(object.body);
};

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => answer(request, Buffer.concat(chunks), response));
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.resume().on("end", () => process.exit(0));
