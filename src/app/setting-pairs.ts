type Given = Readonly<Record<string, string | undefined>>;

/** A sentence for each two settings that go together, or do not, and are not given so. */
export const pairProblems = (given: Given): string[] => [
  ...tlsProblems(given),
  ...peerProblems(given),
  ...adminPortProblems(given),
];

function tlsProblems(given: Given): string[] {
  const names = ['LARDER_TLS_CERT_FILE', 'LARDER_TLS_KEY_FILE'] as const;
  const missing = names.filter((name) => given[name] === undefined);
  const [only] = missing;
  return missing.length === 1 && only !== undefined
    ? [`${only} is not set: TLS needs both ${names.join(' and ')}; without TLS set neither.`]
    : [];
}

function peerProblems(given: Given): string[] {
  const { LARDER_PEER_URL: url, LARDER_PEER_SECRET: secret, LARDER_REDIS_URL: redis } = given;
  if ((url === undefined) !== (secret === undefined))
    return [
      'LARDER_PEER_URL and LARDER_PEER_SECRET go together: set both, the secret alike on all replicas, or neither.',
    ];
  return url !== undefined && redis === undefined
    ? ['LARDER_PEER_URL is set, and LARDER_REDIS_URL is not: replicas find each other by Redis.']
    : [];
}

function adminPortProblems({
  LARDER_PORT: port = '3000',
  LARDER_ADMIN_PORT: adminPort,
}: Given): string[] {
  return adminPort !== port || port === '0'
    ? []
    : [
        `LARDER_ADMIN_PORT="${adminPort}" is LARDER_PORT too: give a port of its own, or leave it out to have all on one.`,
      ];
}
