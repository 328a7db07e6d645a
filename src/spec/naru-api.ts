/** naru's own requests and answers, below `/naru`: what Docker's API has no words for. */

/** `POST /naru/image/verify` */
export interface VerifyRequest { Name: string; /** Public keys in PEM; none: those of the image policy. */ Keys?: string[]; AnyName?: boolean; /** Look at what is kept here, not in the registry. */ Local?: boolean }
export interface ImageVerification { Name: string; Digest: string; Verified: boolean; Signatures: SignatureVerdict[] }
export interface SignatureVerdict { Form: string; /** Digest of the manifest that carries it. */ Document: string; KeyId: string; KeySource: string; SignedName: string; /** '' when it holds. */ Problem: string }

/** `POST /naru/image/signature`: made by the client, with a key that the daemon never sees. */
export interface SignatureRequest { Name: string; Digest: string; Form: 'tag' | 'referrer' | 'bundle'; /** Base64, both. */ Payload: string; Signature: string; KeyHint?: string }

/** `GET /naru/image/referrers` */
export interface Referrer { Subject: string; Digest: string; MediaType: string; ArtifactType: string; Size: number; Annotations: Record<string, string> }

/** `GET /naru/manifest?name=…&insecure=…`: as the registry has it, in base64. */
export interface RegistryManifest { MediaType: string; Digest: string; Size: number; Raw: string; /** Of an image. */ Platform?: { architecture: string; os: string; 'os.version'?: string; variant?: string } }

/** `GET /naru/network/dns`: the resolver of containers on user-defined networks; without Pid there is none. Numbers since it started. */
export interface DnsReport { Pid?: number; UptimeSeconds?: number; /** Proportional set size, bytes. */ Memory?: number; Containers: DnsReportRow[]; Total: DnsCounts; /** Upstream's answers by milliseconds: at most so many, null for more. */ Latency: { Most: number | null; Answers: number }[] }
export interface DnsReportRow extends DnsCounts { Id: string; Name: string }
export interface DnsCounts { Queries: number; /** From the names of the networks. */ Local: number; Cached: number; Forwarded: number; /** Names and addresses of ours that are not there: asked nowhere. */ Withheld: number; Failed: number; /** Malformed, or too many at once. */ Refused: number; Timeouts: number; /** Upstream's answers that were none to what was asked. */ Mismatched: number; Tcp: number }

/** `POST /naru/manifest/list?insecure=…` */
export interface ManifestListRequest { Name: string; Manifests: { Ref: string; MediaType: string; Digest: string; Raw: string }[]; Index: { MediaType: string; Raw: string } }

/** A line of `POST /naru/system/check`: a problem, what was done about one, or the sums at the end. */
export type CheckMessage =
  | { What: string; Problem: string; /** Names of images and artifacts that are touched. */ Images: string[]; /** '' for nothing. */ Action: string }
  | { Checked: number; Problems: number; Repaired: number };
