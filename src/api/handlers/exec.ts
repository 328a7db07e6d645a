import type { Handler } from '#api/call.ts';
import { readJson } from '#api/json-body.ts';
import { json, ok } from '#api/replies.ts';
import { asExecConfig, asExecStart } from '#api/request-schemas.ts';
import { takeover } from '#api/takeover.ts';
import { NaruError } from '#spec/errors.ts';
import { dimension } from './containers.ts';

export const create: Handler = async ({ engine, params, request }) => {
  const config = asExecConfig(await readJson(request));
  if ((config.Cmd ?? []).length === 0) throw new NaruError('invalid', 'No exec command specified');
  return json(await engine.exec.create(params.name!, config), 201);
};

export const start: Handler = async (call) => {
  const options = asExecStart(await readJson(call.request));
  const prepared = await call.engine.exec.startPrepare(call.params.id!, options);
  if (options.Detach !== true) return takeover(call, prepared.tty, (client) => prepared.start(client));
  await prepared.start(undefined);
  return ok();
};

export const resize: Handler = async (call) => {
  await call.engine.exec.resize(call.params.id!, dimension(call, 'h'), dimension(call, 'w'));
  return ok();
};

export const inspect: Handler = async ({ engine, params }) => json(await engine.exec.inspect(params.id!));
