# Larder as an image.
#
#   docker build -t larder .                  the server alone
#   docker build -t larder:vcs --target vcs . with git, ssh and the go command, for modules from version control
#
# For several platforms; libraries and code are made on the builder's own, so that only a few lines are emulated:
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/larder:VERSION --push .
#
# Bases by tag; with a digest besides (NODE_DIGEST=sha256:…) the tag is for people alone.

ARG NODE_IMAGE=docker.io/library/node:26-bookworm-slim
ARG NODE_DIGEST=
ARG GO_IMAGE=docker.io/library/golang:1.26-bookworm
ARG GO_DIGEST=

FROM ${NODE_IMAGE}${NODE_DIGEST:+@${NODE_DIGEST}} AS node
FROM --platform=${BUILDPLATFORM} ${NODE_IMAGE}${NODE_DIGEST:+@${NODE_DIGEST}} AS tools
FROM ${GO_IMAGE}${GO_DIGEST:+@${GO_DIGEST}} AS go

# Node.js comes with the base, not from npm
FROM tools AS libraries
WORKDIR /larder
COPY package.json package-lock.json .npmrc ./
COPY scripts/node scripts/node
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM tools AS build
WORKDIR /larder
COPY package.json package-lock.json .npmrc ./
COPY scripts/node scripts/node
RUN npm ci --omit=optional --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run -s build && find dist -name '*.map' -delete

FROM node AS base
# who Larder is, by a name too, which ssh asks for; and the only folders that it writes to
RUN echo 'larder:x:65532:65532:Larder:/nonexistent:/usr/sbin/nologin' >>/etc/passwd \
  && echo 'larder:x:65532:' >>/etc/group \
  && ln -s /larder/dist/main.js /usr/local/bin/larder \
  && install -d -o 65532 -g 65532 -m 0750 /data /spool
WORKDIR /larder
COPY package.json LICENSE README.md CHANGELOG.md .env.example ./
COPY --from=libraries /larder/node_modules node_modules
COPY --from=build /larder/dist dist
COPY docker/health.ts docker/health.ts
# the store is in ./data by default, and the spool, where the store is a bucket, in the folder for temporary files; no
# LARDER_ setting is made here, which another one might contradict
WORKDIR /
ENV NODE_ENV=production TMPDIR=/spool
# writable, and with an owner, under --read-only too
VOLUME ["/data", "/spool"]
EXPOSE 3000
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/node", "/larder/docker/health.ts"]
STOPSIGNAL SIGTERM
CMD ["serve"]
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="larder" \
  org.opencontainers.image.description="A caching pull-through proxy for Go modules and container images" \
  org.opencontainers.image.source="https://github.com/larder/larder" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}"

FROM base AS vcs
USER root
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates git openssh-client tini \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=go /usr/local/go /usr/local/go
ENV PATH=/usr/local/go/bin:$PATH GOTOOLCHAIN=local
USER 65532:65532
# what git and go leave behind is reaped by tini
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/node", "/larder/dist/main.js"]

# The last one is what is built by default. Larder starts no other program here, and listens to signals itself.
FROM base AS slim
ENTRYPOINT ["/usr/local/bin/node", "/larder/dist/main.js"]
