// What each client is told so that it comes here: copy-ready, with this server's own address.

export interface ClientSetup {
  readonly client: string;
  /** The file that the text goes into; undefined for a command. */
  readonly file: string | undefined;
  readonly text: string;
}

/** `base`: the server's own address, such as `http://larder:3000`. */
export function imageClients(base: string): ClientSetup[] {
  const { host, protocol } = new URL(base);
  const isPlain = protocol === 'http:';
  return [
    {
      client: 'Docker (images of Docker Hub)',
      file: '/etc/docker/daemon.json',
      text: `{ "registry-mirrors": ["${base}"] }`,
    },
    {
      client: 'containerd, Kubernetes',
      file: '/etc/containerd/certs.d/_default/hosts.toml',
      text: `[host."${base}"]\n  capabilities = ["pull", "resolve"]`,
    },
    {
      client: 'Podman, Buildah, Skopeo, CRI-O',
      file: '/etc/containers/registries.conf.d/larder.conf',
      text: ['docker.io', 'ghcr.io', 'quay.io']
        .map((registry) =>
          [
            '[[registry]]',
            `location = "${registry}"`,
            '[[registry.mirror]]',
            `location = "${host}/${registry}"`,
            ...(isPlain ? ['insecure = true'] : []),
          ].join('\n'),
        )
        .join('\n'),
    },
    {
      client: 'k3s, RKE2',
      file: '/etc/rancher/k3s/registries.yaml',
      text: `mirrors:\n  '*':\n    endpoint:\n      - '${base}'`,
    },
    {
      client: 'Helm',
      file: undefined,
      text: `helm pull oci://${host}/ghcr.io/OWNER/CHART --version VERSION${isPlain ? ' --plain-http' : ''}`,
    },
  ];
}
