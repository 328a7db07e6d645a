export interface TlsSettings { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly skipVerify?: boolean }

export interface HttpDispatchOptions {
  readonly tls?: TlsSettings;
  /** Where proxies are named: the daemon's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The registry that is asked is on this machine: then its answers may lead to this machine too. */
  readonly loopback?: boolean;
  /** Silence of a peer that is waited for, milliseconds. */
  readonly patience?: number;
  readonly userAgent?: string;
}
