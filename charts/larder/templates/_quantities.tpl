{{/* Durations of Larder, quantities of Kubernetes and sizes of Larder, as whole numbers. */}}

{{/* Seconds of a duration such as 90s, rounded up. */}}
{{- define "larder.seconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $ms := mul (regexFind "^[0-9]+" . | int64) (get $units $unit) -}}
{{- div (add $ms 999) 1000 -}}
{{- end -}}

{{/* Bytes of a size such as 50GB or 50GiB, or of a quantity such as 512Mi. */}}
{{- define "larder.bytes" -}}
{{- $units := dict "" 1 "B" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $text := include "larder.text" . -}}
{{- $unit := regexFind "[A-Za-z]*$" $text | trimSuffix "B" -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units $unit) | int64 -}}
{{- end -}}

{{/* A value of YAML as text; whole numbers without an exponent. */}}
{{- define "larder.text" -}}
{{- if or (kindIs "float64" .) (kindIs "int" .) (kindIs "int64" .) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}
