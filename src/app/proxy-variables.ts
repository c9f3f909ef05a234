/** What undici takes; NO_PROXY is a list of names, of which none can be wrong. */
const schemes = new Set(['http:', 'https:', 'socks5:']);

type Given = Readonly<Record<string, string | undefined>>;

/** A sentence for each proxy of the environment (HTTP_PROXY, HTTPS_PROXY, in either case) that cannot be used. */
export function proxyProblems(env: Given): string[] {
  return ['http_proxy', 'https_proxy'].flatMap((lower) => {
    // as undici reads them: the lower-case one counts
    const name = env[lower] === undefined ? lower.toUpperCase() : lower;
    const value = env[name] ?? '';
    if (value === '' || schemes.has(URL.parse(value)?.protocol ?? '')) return [];
    const shown = value.replace(/^.*@/, '***@');
    return [
      `${name}=${JSON.stringify(shown)} is not usable: give the URL of a proxy, such as http://proxy.example.com:3128, or unset it.`,
    ];
  });
}
