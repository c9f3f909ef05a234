{{/* Values that contradict each other, or would put a secret where it does not belong: refused, each with a sentence. */}}

{{- define "larder.validate" -}}
{{- include "larder.validateConfig" . -}}
{{- include "larder.validateReplicas" . -}}
{{- include "larder.validateSecrets" . -}}
{{- include "larder.validateWorkload" . -}}
{{- include "larder.validateAccess" . -}}
{{- end -}}

{{/* Settings that the chart itself makes, by the value that they come from. */}}
{{- define "larder.ownSettings" -}}
LARDER_HOST: service.ipFamilies
LARDER_PORT: service.port
LARDER_ADMIN_PORT: service.adminPort
LARDER_STORAGE_DIR: persistence
LARDER_SPOOL_DIR: spool
LARDER_PEER_URL: peer.enabled
LARDER_RULES_FILE: rules
LARDER_ADMIN_TOKEN: secrets.adminToken.existingSecret
LARDER_ADMIN_TOKEN_FILE: secrets.adminToken.existingSecret
LARDER_S3_ACCESS_KEY_ID: secrets.s3.existingSecret
LARDER_S3_ACCESS_KEY_ID_FILE: secrets.s3.existingSecret
LARDER_S3_SECRET_ACCESS_KEY: secrets.s3.existingSecret
LARDER_S3_SECRET_ACCESS_KEY_FILE: secrets.s3.existingSecret
LARDER_PEER_SECRET: secrets.peer.existingSecret
LARDER_PEER_SECRET_FILE: secrets.peer.existingSecret
LARDER_REDIS_URL_FILE: secrets.redis.existingSecret and secrets.redis.urlKey
LARDER_GO_UPSTREAM_FILE: secrets.goUpstream.existingSecret
LARDER_ADMISSION_URL_FILE: secrets.admissionUrl.existingSecret
LARDER_OCI_AUTH_FILE: secrets.upstreamCredentials.existingSecret
LARDER_NETRC: secrets.netrc.existingSecret
LARDER_GIT_CONFIG: secrets.gitConfig.existingSecret
LARDER_SSH_KEY_FILE: secrets.ssh.existingSecret
LARDER_SSH_KNOWN_HOSTS_FILE: secrets.ssh.existingSecret
LARDER_AUTH_HTPASSWD: secrets.htpasswd.existingSecret
LARDER_TLS_CERT_FILE: secrets.tls.existingSecret
LARDER_TLS_KEY_FILE: secrets.tls.existingSecret
{{- end -}}

{{- define "larder.validateConfig" -}}
{{- $own := include "larder.ownSettings" . | fromYaml -}}
{{- range $name, $value := .Values.config -}}
{{- with get $own $name -}}
{{- fail (printf "config.%s is not to be set: the chart makes it of %s." $name .) -}}
{{- end -}}
{{- end -}}
{{- $secrets := dict "LARDER_GO_UPSTREAM" "goUpstream" "LARDER_ADMISSION_URL" "admissionUrl" "LARDER_REDIS_URL" "redis" "LARDER_OCI_UPSTREAMS" "upstreamCredentials" "LARDER_S3_ENDPOINT" "s3" -}}
{{- range $name, $secret := $secrets -}}
{{- $value := get $.Values.config $name | default "" -}}
{{- $isSecret := include "larder.hasUserInfo" $value -}}
{{- if or $isSecret (and (eq $secret "redis") (contains "@" $value)) (and (eq $secret "admissionUrl") (contains "?" $value)) -}}
{{- fail (printf "config.%s has a secret in it, and would be in a ConfigMap: put it into a Secret, and name that in secrets.%s.existingSecret." $name $secret) -}}
{{- end -}}
{{- end -}}
{{- if include "larder.hasUserInfo" .Values.rules.content -}}
{{- fail "rules.content has a secret in it, and would be in a ConfigMap: put the rules into a Secret, and name that in rules.existingSecret." -}}
{{- end -}}
{{- if not .Values.image.vcs -}}
{{- include "larder.validateSlim" . -}}
{{- end -}}
{{- end -}}

{{/* Whether an address in a text has a user or password in it, as the word true or nothing. */}}
{{- define "larder.hasUserInfo" -}}
{{- if regexMatch "://[^/,|\\s'\"]*@" . -}}true{{- end -}}
{{- end -}}

{{/* What the image without a go command cannot do. */}}
{{- define "larder.validateSlim" -}}
{{- $goUpstream := or .Values.config.LARDER_GO_UPSTREAM .Values.secrets.goUpstream.existingSecret -}}
{{- if not (or .Values.extraEnvFrom (has "LARDER_GO_UPSTREAM" (include "larder.extraNames" . | fromYamlArray)) $goUpstream) -}}
{{- fail "image.vcs is off, and that image has no go command whose default could be taken: set config.LARDER_GO_UPSTREAM to where Go modules come from, or to off." -}}
{{- end -}}
{{- range $name, $wants := dict "LARDER_GO_PRIVATE" .Values.config.LARDER_GO_PRIVATE "LARDER_GO_UPSTREAM" (eq "direct" (default "" .Values.config.LARDER_GO_UPSTREAM)) -}}
{{- if $wants -}}
{{- fail (printf "config.%s has modules fetched from version control, and image.vcs is off, whose image has no go command for that: set image.vcs to true, or leave that setting out." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "larder.validateReplicas" -}}
{{- $storage := include "larder.storage" . -}}
{{- $hpa := .Values.autoscaling -}}
{{- $most := ternary (int $hpa.maxReplicas) (int .Values.replicaCount) $hpa.enabled -}}
{{- $what := ternary (printf "autoscaling.maxReplicas is %d" $most) (printf "replicaCount is %d" $most) $hpa.enabled -}}
{{- if and (eq $storage "file") $hpa.enabled -}}
{{- fail "autoscaling.enabled is on, and the file store is one pod's alone: set config.LARDER_STORAGE to s3, or leave autoscaling off." -}}
{{- end -}}
{{- if and (gt $most 1) (eq $storage "file") -}}
{{- fail (printf "%s, and the file store is one pod's alone: set config.LARDER_STORAGE to s3, or replicaCount to 1." $what) -}}
{{- end -}}
{{- if and (gt $most 1) (not (include "larder.hasRedis" .)) -}}
{{- fail (printf "%s, and there is no Redis that the replicas lock by: set config.LARDER_REDIS_URL, or secrets.redis with urlKey." $what) -}}
{{- end -}}
{{- if $hpa.enabled -}}
{{- if gt (int $hpa.minReplicas) (int $hpa.maxReplicas) -}}
{{- fail (printf "autoscaling.minReplicas is %d and autoscaling.maxReplicas %d: the first may not be above the second." (int $hpa.minReplicas) (int $hpa.maxReplicas)) -}}
{{- end -}}
{{- if not (or $hpa.targetCPUUtilizationPercentage $hpa.targetMemoryUtilizationPercentage $hpa.metrics) -}}
{{- fail "autoscaling.enabled is on, and nothing says what to scale by: set a target of CPU or memory, or autoscaling.metrics." -}}
{{- end -}}
{{- if and $hpa.targetCPUUtilizationPercentage (not (.Values.resources.requests).cpu) -}}
{{- fail "autoscaling.targetCPUUtilizationPercentage is a share of resources.requests.cpu, which is not set: set that, or the target to null." -}}
{{- end -}}
{{- if and $hpa.targetMemoryUtilizationPercentage (not (.Values.resources.requests).memory) -}}
{{- fail "autoscaling.targetMemoryUtilizationPercentage is a share of resources.requests.memory, which is not set: set that, or the target to null." -}}
{{- end -}}
{{- end -}}
{{- if and (eq $storage "s3") (not .Values.config.LARDER_S3_BUCKET) -}}
{{- fail "config.LARDER_STORAGE is s3, and config.LARDER_S3_BUCKET is not set: name the bucket." -}}
{{- end -}}
{{- if and (eq $storage "file") .Values.config.LARDER_S3_BUCKET -}}
{{- fail "config.LARDER_S3_BUCKET is set, and config.LARDER_STORAGE is not s3: set that too, or leave the bucket out." -}}
{{- end -}}
{{- if and (eq $storage "s3") .Values.persistence.existingClaim -}}
{{- fail "persistence.existingClaim is of the file store, and config.LARDER_STORAGE is s3: leave one of them out." -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim (not .Values.persistence.enabled) -}}
{{- fail "persistence.existingClaim is set, and persistence.enabled is off, which keeps nothing: set that to true, or leave the claim out." -}}
{{- end -}}
{{- end -}}

{{- define "larder.validateSecrets" -}}
{{- $secrets := .Values.secrets -}}
{{- if and .Values.rules.content .Values.rules.existingSecret -}}
{{- fail "rules.content and rules.existingSecret are both set: the rules come from one of them." -}}
{{- end -}}
{{- range $name, $secret := dict "LARDER_GO_UPSTREAM" "goUpstream" "LARDER_ADMISSION_URL" "admissionUrl" -}}
{{- if and (get $.Values.config $name) (get $secrets $secret).existingSecret -}}
{{- fail (printf "config.%s and secrets.%s.existingSecret are both set: set one of them." $name $secret) -}}
{{- end -}}
{{- end -}}
{{- $url := .Values.config.LARDER_REDIS_URL -}}
{{- if and .Values.tryOutRedis.enabled (or $url $secrets.redis.existingSecret) -}}
{{- fail "tryOutRedis.enabled is on beside a Redis of your own: leave out one of them." -}}
{{- end -}}
{{- if and $secrets.redis.urlKey (not $secrets.redis.existingSecret) -}}
{{- fail "secrets.redis.urlKey is set, and secrets.redis.existingSecret is not: name the Secret that has that key." -}}
{{- end -}}
{{- if and $secrets.redis.existingSecret $secrets.redis.urlKey $url -}}
{{- fail "config.LARDER_REDIS_URL and secrets.redis.urlKey are both set: the address comes from one of them." -}}
{{- end -}}
{{- if and $secrets.redis.existingSecret (not $secrets.redis.urlKey) (not $url) -}}
{{- fail "secrets.redis.existingSecret has the password of a Redis whose address is not known: set config.LARDER_REDIS_URL, or secrets.redis.urlKey." -}}
{{- end -}}
{{- if and $secrets.tls.existingSecret (include "larder.hasPeers" .) -}}
{{- fail "secrets.tls.existingSecret is set, and replicas reach each other by the addresses of their pods, which no certificate is good for: set peer.enabled to false, or let an Ingress or a Gateway end TLS." -}}
{{- end -}}
{{- end -}}

{{- define "larder.validateWorkload" -}}
{{- $own := include "larder.labels" . | fromYaml | keys | concat (list "app.kubernetes.io/component") -}}
{{- range $where, $labels := dict "podLabels" .Values.podLabels "service.labels" .Values.service.labels -}}
{{- range $label, $value := $labels -}}
{{- if has $label $own -}}
{{- fail (printf "%s has %s, which the chart itself sets: choose another label." $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- if and $budget.enabled (eq (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable)) -}}
{{- fail "podDisruptionBudget takes exactly one of minAvailable and maxUnavailable: set one of them, and the other to null." -}}
{{- end -}}
{{- $stop := add .Values.shutdown.preStopSeconds (include "larder.drainSeconds" .) -}}
{{- if le (include "larder.gracePeriod" . | int64) (int64 $stop) -}}
{{- fail (printf "terminationGracePeriodSeconds is %s, and a stop may take %d: those of shutdown.preStopSeconds and of the drain. Give more." (include "larder.gracePeriod" .) $stop) -}}
{{- end -}}
{{- include "larder.validateSizes" . -}}
{{- if eq .Values.collection.mode "cronJob" -}}
{{- if not .Values.secrets.adminToken.existingSecret -}}
{{- fail "collection.mode is cronJob, which asks the admin API: set secrets.adminToken.existingSecret." -}}
{{- end -}}
{{- if include "larder.seconds" (default "0s" .Values.config.LARDER_COLLECT_INTERVAL) | int64 -}}
{{- fail "collection.mode is cronJob, and config.LARDER_COLLECT_INTERVAL has the replicas collect too: leave one of them out." -}}
{{- end -}}
{{- if include "larder.seconds" (default "0s" .Values.config.LARDER_MAX_AGE) | int64 -}}
{{- fail "collection.mode is cronJob, and config.LARDER_MAX_AGE is carried out by the replicas' own collection alone: leave one of them out." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Sizes of which one has no room in the other. */}}
{{- define "larder.validateSizes" -}}
{{- $cache := default "0" (.Values.config.LARDER_S3_DISK_CACHE) -}}
{{- if ge (include "larder.bytes" $cache | int64) (include "larder.bytes" .Values.spool.sizeLimit | int64) -}}
{{- fail (printf "config.LARDER_S3_DISK_CACHE is %s, and the spool that it is in has room for %s: give spool.sizeLimit more." (include "larder.text" $cache) .Values.spool.sizeLimit) -}}
{{- end -}}
{{- if and .Values.config.LARDER_MAX_SIZE (eq (include "larder.storage" .) "file") (not .Values.persistence.existingClaim) -}}
{{- $limit := include "larder.text" .Values.config.LARDER_MAX_SIZE -}}
{{- $volume := ternary "size" "sizeLimit" .Values.persistence.enabled -}}
{{- $size := get .Values.persistence $volume -}}
{{- if ge (include "larder.bytes" $limit | int64) (include "larder.bytes" $size | int64) -}}
{{- fail (printf "config.LARDER_MAX_SIZE is %s, and the volume that the store is on has room for %s: give persistence.%s more, or the store less." $limit $size $volume) -}}
{{- end -}}
{{- end -}}
{{- $resource := ternary "memory" "ephemeral-storage" (eq .Values.spool.medium "Memory") -}}
{{- with get (default dict .Values.resources.limits) $resource -}}
{{- if lt (include "larder.bytes" . | int64) (include "larder.bytes" $.Values.spool.sizeLimit | int64) -}}
{{- fail (printf "resources.limits.%s is %s, and the spool, which counts to it, may have %s: give the limit more, or spool.sizeLimit less." $resource (include "larder.text" .) $.Values.spool.sizeLimit) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "larder.validateAccess" -}}
{{- if and .Values.ingress.enabled (empty .Values.ingress.hosts) -}}
{{- fail "ingress.enabled is on, and ingress.hosts is empty: give a host." -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (empty .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled is on, and httpRoute.parentRefs is empty: name a Gateway." -}}
{{- end -}}
{{- if eq (int .Values.service.port) (int .Values.service.adminPort) -}}
{{- fail "service.port and service.adminPort are the same: give each a port of its own." -}}
{{- end -}}
{{- if and .Values.service.nodePort (eq .Values.service.type "ClusterIP") -}}
{{- fail "service.nodePort is set, and service.type is ClusterIP: make that NodePort, or leave the port out." -}}
{{- end -}}
{{- if and (gt (len .Values.service.ipFamilies) 1) (eq .Values.service.ipFamilyPolicy "SingleStack") -}}
{{- fail "service.ipFamilies has two, and service.ipFamilyPolicy is SingleStack: leave one of them out, or make that PreferDualStack." -}}
{{- end -}}
{{- $monitor := .Values.serviceMonitor -}}
{{- if and $monitor.enabled (gt (include "larder.seconds" $monitor.scrapeTimeout | int64) (include "larder.seconds" $monitor.interval | int64)) -}}
{{- fail (printf "serviceMonitor.scrapeTimeout is %s, and serviceMonitor.interval %s: the first may not be above the second." $monitor.scrapeTimeout $monitor.interval) -}}
{{- end -}}
{{- if and .Values.nodeMirror.enabled .Values.secrets.tls.existingSecret (not .Values.nodeMirror.address) -}}
{{- fail "nodeMirror.enabled is on with TLS, and the Service's own address has no certificate: set nodeMirror.address to a name that has one." -}}
{{- end -}}
{{- end -}}
