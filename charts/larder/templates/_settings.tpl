{{/* The settings that Larder gets: those of `config`, and those that follow from the chart. */}}

{{/* Whether there is a Redis, as the word true or nothing. */}}
{{- define "larder.hasRedis" -}}
{{- $secret := .Values.secrets.redis -}}
{{- if or .Values.config.LARDER_REDIS_URL .Values.tryOutRedis.enabled (and $secret.existingSecret $secret.urlKey) -}}true{{- end -}}
{{- end -}}

{{- define "larder.storage" -}}
{{- default "file" .Values.config.LARDER_STORAGE -}}
{{- end -}}

{{/* Whether replicas stream to each other, as the word true or nothing. */}}
{{- define "larder.hasPeers" -}}
{{- if and .Values.peer.enabled (include "larder.hasRedis" .) (eq (include "larder.storage" .) "s3") -}}true{{- end -}}
{{- end -}}

{{- define "larder.peerSecretName" -}}
{{- default (printf "%s-peer" (include "larder.fullname" .)) .Values.secrets.peer.existingSecret -}}
{{- end -}}

{{- define "larder.wantsIPv6" -}}
{{- if or (has "IPv6" .Values.service.ipFamilies) (hasSuffix "DualStack" .Values.service.ipFamilyPolicy) -}}true{{- end -}}
{{- end -}}

{{/* Seconds that a stop lets bodies finish. */}}
{{- define "larder.drainSeconds" -}}
{{- with .Values.config.LARDER_DRAIN_TIMEOUT -}}
{{- include "larder.seconds" . -}}
{{- else -}}
{{- int .Values.shutdown.longestDownloadSeconds -}}
{{- end -}}
{{- end -}}

{{- define "larder.gracePeriod" -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- add .Values.shutdown.preStopSeconds (include "larder.drainSeconds" .) .Values.shutdown.longestDownloadSeconds 10 -}}
{{- else -}}
{{- int .Values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}

{{/* Every setting that is no secret, as YAML of names and texts. */}}
{{- define "larder.settings" -}}
{{- $settings := dict -}}
{{- range $name, $value := .Values.config -}}
{{- $_ := set $settings $name (include "larder.text" $value) -}}
{{- end -}}
{{- $_ := set $settings "LARDER_PORT" "3000" -}}
{{- $_ := set $settings "LARDER_ADMIN_PORT" "3001" -}}
{{- $_ := set $settings "LARDER_SPOOL_DIR" "/spool/larder" -}}
{{- $_ := set $settings "LARDER_STORAGE" (include "larder.storage" .) -}}
{{- $_ := set $settings "LARDER_STORAGE_DIR" (ternary "/data" "" (eq (include "larder.storage" .) "file")) -}}
{{- $_ := set $settings "LARDER_DRAIN_TIMEOUT" (printf "%ss" (include "larder.drainSeconds" .)) -}}
{{- if include "larder.wantsIPv6" . -}}
{{- $_ := set $settings "LARDER_HOST" "::" -}}
{{- end -}}
{{- if eq .Values.collection.mode "cronJob" -}}
{{- $_ := set $settings "LARDER_COLLECT_INTERVAL" "0s" -}}
{{- end -}}
{{- if .Values.tryOutRedis.enabled -}}
{{- $_ := set $settings "LARDER_REDIS_URL" (printf "redis://%s-redis.%s.svc:6379" (include "larder.fullname" .) .Release.Namespace) -}}
{{- end -}}
{{- if or .Values.rules.content .Values.rules.existingSecret -}}
{{- $_ := set $settings "LARDER_RULES_FILE" "/etc/larder/rules.yaml" -}}
{{- end -}}
{{- range include "larder.secretFiles" . | fromYamlArray -}}
{{- $_ := set $settings .setting (printf "/etc/larder/%s" .path) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* The files that secrets become, as a list of setting, secret, key and path. */}}
{{- define "larder.secretFiles" -}}
{{- $rows := list
  (list "LARDER_ADMIN_TOKEN_FILE" "adminToken" "key" "admin-token")
  (list "LARDER_S3_ACCESS_KEY_ID_FILE" "s3" "accessKeyIdKey" "s3-access-key-id")
  (list "LARDER_S3_SECRET_ACCESS_KEY_FILE" "s3" "secretAccessKeyKey" "s3-secret-access-key")
  (list "LARDER_REDIS_URL_FILE" "redis" "urlKey" "redis-url")
  (list "LARDER_GO_UPSTREAM_FILE" "goUpstream" "key" "go-upstream")
  (list "LARDER_ADMISSION_URL_FILE" "admissionUrl" "key" "admission-url")
  (list "LARDER_OCI_AUTH_FILE" "upstreamCredentials" "key" "config.json")
  (list "LARDER_NETRC" "netrc" "key" "netrc")
  (list "LARDER_GIT_CONFIG" "gitConfig" "key" "gitconfig")
  (list "LARDER_SSH_KEY_FILE" "ssh" "key" "ssh-key")
  (list "LARDER_SSH_KNOWN_HOSTS_FILE" "ssh" "knownHostsKey" "known_hosts")
  (list "LARDER_AUTH_HTPASSWD" "htpasswd" "key" "htpasswd")
  (list "LARDER_TLS_CERT_FILE" "tls" "certKey" "tls.crt")
  (list "LARDER_TLS_KEY_FILE" "tls" "keyKey" "tls.key") -}}
{{- $files := list -}}
{{- range $row := $rows -}}
{{- $secret := get $.Values.secrets (index $row 1) -}}
{{- $key := get $secret (index $row 2) -}}
{{- if and $secret.existingSecret $key -}}
{{- $files = append $files (dict "setting" (index $row 0) "secret" $secret.existingSecret "key" $key "path" (index $row 3)) -}}
{{- end -}}
{{- end -}}
{{- if include "larder.hasPeers" . -}}
{{- $files = append $files (dict "setting" "LARDER_PEER_SECRET_FILE" "secret" (include "larder.peerSecretName" .) "key" .Values.secrets.peer.key "path" "peer-secret") -}}
{{- end -}}
{{- with .Values.rules -}}
{{- if .existingSecret -}}
{{- $files = append $files (dict "setting" "LARDER_RULES_FILE" "secret" .existingSecret "key" .key "path" "rules.yaml") -}}
{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* The variables that hold what is known only in the pod. */}}
{{- define "larder.podEnvironment" -}}
- name: TMPDIR
  value: /spool
{{- $secret := .Values.secrets.redis -}}
{{- if and $secret.existingSecret (not $secret.urlKey) }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ $secret.existingSecret }}
      key: {{ $secret.key }}
- name: LARDER_REDIS_URL
  value: {{ .Values.config.LARDER_REDIS_URL | replace "://" (printf "://%s:$(REDIS_PASSWORD)@" $secret.username) | quote }}
{{- end }}
{{- if include "larder.hasPeers" . }}
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: LARDER_PEER_URL
  value: {{ ternary "http://[$(POD_IP)]:3000" "http://$(POD_IP):3000" (eq "IPv6" (first .Values.service.ipFamilies | default "")) }}
{{- end }}
{{- with (.Values.resources.limits).memory }}
- name: NODE_OPTIONS
  value: --max-old-space-size={{ div (include "larder.bytes" . | int64) 2097152 }}
{{- end }}
{{- end -}}

{{/* All variables, as a list; what `extraEnv` names again is taken from there. */}}
{{- define "larder.environment" -}}
{{- $names := include "larder.extraNames" . | fromYamlArray -}}
{{- $all := list -}}
{{- range include "larder.podEnvironment" . | fromYamlArray -}}
{{- if not (has .name $names) -}}
{{- $all = append $all . -}}
{{- end -}}
{{- end -}}
{{- concat $all .Values.extraEnv | toYaml -}}
{{- end -}}

{{- define "larder.extraNames" -}}
{{- $names := list -}}
{{- range .Values.extraEnv -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- toYaml $names -}}
{{- end -}}
