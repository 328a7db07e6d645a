import { Readable } from 'node:stream';
import type { Call, Handler } from '#api/call.ts';
import type { HeaderList } from '#api/http/reply.ts';
import { bytes, ok } from '#api/replies.ts';
import type { AttachOptions } from '#api/engine-port.ts';
import { streamType, takeover, webSocketKey, webSocketTakeover } from '#api/takeover.ts';
import type { PathStat } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';

const name = (call: Call): string => call.params.name!;

export const logs: Handler = async (call) => {
  const { query, request } = call;
  const options = {
    stdout: query.flag('stdout'), stderr: query.flag('stderr'), follow: query.flag('follow'), timestamps: query.flag('timestamps'),
    since: query.timestamp('since'), until: query.timestamp('until'), tail: tailLines(query.text('tail')), details: query.flag('details'),
  };
  if (!options.stdout && !options.stderr) throw new NaruError('invalid', 'Bad parameters: you must choose at least one stream');
  const { tty, stream } = await call.engine.containers.logs(name(call), options, request.signal);
  return bytes(streamType(call, tty), stream);
};

/** As Docker: everything that is no number means all. */
const tailLines = (text: string): number => (/^[0-9]{1,15}$/.test(text) ? Number(text) : -1);

export const attach: Handler = async (call) => {
  const prepared = await call.engine.containers.attachPrepare(name(call), attachOptions(call));
  return takeover(call, prepared.tty, (client) => prepared.attach(client));
};

export const attachWebSocket: Handler = async (call) => {
  const key = webSocketKey(call);
  const prepared = await call.engine.containers.attachPrepare(name(call), { ...attachOptions(call), framed: false });
  return webSocketTakeover(call, key, (client) => prepared.attach(client));
};

const attachOptions = ({ query }: Call): AttachOptions => ({
  stdin: query.flag('stdin'), stdout: query.flag('stdout'), stderr: query.flag('stderr'), logs: query.flag('logs'), stream: query.flag('stream'),
  detachKeys: query.text('detachKeys'),
});

export const statArchive: Handler = async (call) => {
  const stat = await call.engine.containers.statPath(name(call), call.query.required('path'));
  return ok(statHeader(stat));
};

export const getArchive: Handler = async (call) => {
  const { stat, stream } = await call.engine.containers.getArchive(name(call), call.query.required('path'));
  return bytes('application/x-tar', stream, statHeader(stat));
};

export const putArchive: Handler = async (call) => {
  const { query, request } = call;
  const options = { noOverwriteDirNonDir: query.flag('noOverwriteDirNonDir'), copyUidGid: query.flag('copyUIDGID') };
  await call.engine.containers.putArchive(name(call), query.required('path'), request.stream() ?? Readable.from([]), options);
  return ok();
};

const statHeader = (stat: PathStat): HeaderList => [
  ['X-Docker-Container-Path-Stat', Buffer.from(JSON.stringify(stat)).toString('base64')],
];
