// Takes mail on a port of its own, which it prints, and prints each message as a line of JSON. It ends when its standard
// input does. Arguments: key and certificate in PEM, and `tls` where TLS is to begin at once.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { SMTPServer } = require("smtp-server");
const { simpleParser } = require("mailparser");

const [key, cert, kind] = process.argv.slice(2);
const print = (value) => console.log(JSON.stringify(value));

const server = new SMTPServer({
  key: readFileSync(key),
  cert: readFileSync(cert),
  secure: kind === "tls",
  logger: false,
  onAuth({ username, password }, session, done) {
    const isRight = session.secure && username === "petrel" && password === "s3cret";
    done(isRight ? null : new Error("wrong name or password"), { user: username });
  },
  onRcptTo({ address }, session, done) {
    const error = Object.assign(new Error("nobody is called so"), { responseCode: 550 });
    done(address.startsWith("nobody@") ? error : null);
  },
  async onData(stream, { envelope, user, secure }, done) {
    const { subject, text, html, from, to, messageId, date } = await simpleParser(stream);
    const recipients = envelope.rcptTo.map(({ address }) => address);
    const mail = { subject, text, html, from: from.text, to: to?.text, messageId, date, recipients, user, secure };
    print({ ...mail, sender: envelope.mailFrom.address });
    done();
  },
});
server.on("error", (error) => console.error(error.message));
server.listen(0, "127.0.0.1", () => print({ port: server.server.address().port }));
process.stdin.resume().on("end", () => process.exit(0));
