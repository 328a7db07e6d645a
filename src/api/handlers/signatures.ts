import type { Call, Handler } from '#api/call.ts';
import { readJson } from '#api/json-body.ts';
import { json } from '#api/replies.ts';
import { NaruError } from '#spec/errors.ts';
import type { ManifestListRequest, SignatureRequest, VerifyRequest } from '#spec/naru-api.ts';

const how = ({ request }: Call): { auth: string; signal: AbortSignal } => ({ auth: request.header('x-registry-auth') ?? '', signal: request.signal });

type Shape = Readonly<Record<string, 'text' | 'texts' | 'flag'>>;
const FITS: Readonly<Record<Shape[string], (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string', flag: (value) => typeof value === 'boolean',
  texts: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
};

/** The body with these fields, `needed` ones first. Throws `invalid`. */
async function body<T>(call: Call, shape: Shape, needed: readonly string[]): Promise<T> {
  const fields = (await readJson(call.request)) as Record<string, unknown> | undefined;
  if (typeof fields !== 'object' || fields === null) throw new NaruError('invalid', 'the request has no body');
  for (const [name, type] of Object.entries(shape)) {
    const value = fields[name];
    if (value === undefined ? needed.includes(name) : !FITS[type](value)) throw new NaruError('invalid', `${name} is ${value === undefined ? 'missing' : 'of the wrong type'}`);
  }
  return fields as T;
}

export const verify: Handler = async (call) =>
  json(await call.engine.images.verify(await body<VerifyRequest>(call, { Name: 'text', Keys: 'texts', AnyName: 'flag', Local: 'flag' }, ['Name']), how(call)));

export const addSignature: Handler = async (call) =>
  json(await call.engine.images.addSignature(await body<SignatureRequest>(call, { Name: 'text', Digest: 'text', Form: 'text', Payload: 'text', Signature: 'text', KeyHint: 'text' }, ['Name', 'Digest', 'Form', 'Payload', 'Signature']), how(call)));

export const referrers: Handler = async (call) => {
  const { engine, query } = call;
  return json(await engine.images.referrers({ name: query.required('name'), local: query.flag('local'), artifactType: query.text('artifactType') }, how(call)));
};

export const manifest: Handler = async (call) => json(await call.engine.images.registryManifest(call.query.required('name'), { ...how(call), insecure: call.query.flag('insecure') }));

export const pushManifestList: Handler = async (call) => {
  const request = await body<ManifestListRequest>(call, { Name: 'text' }, ['Name']);
  const text = (...values: unknown[]): boolean => values.every((value) => typeof value === 'string');
  const { Manifests: manifests, Index: index } = request as Partial<ManifestListRequest>;
  if (!Array.isArray(manifests) || !manifests.every((one) => text(one?.Ref, one?.MediaType, one?.Digest, one?.Raw)) || !text(index?.MediaType, index?.Raw)) throw new NaruError('invalid', 'Manifests or Index are not what they must be');
  return json(await call.engine.images.pushManifestList(request, { ...how(call), insecure: call.query.flag('insecure') }));
};
