#!/usr/bin/env bash
# Machine code beforehand for each assembly of a folder: precompile.sh CROSSGEN FRAMEWORK INPUT OUTPUT
# What has not changed is left alone; what can't be compiled is copied as it is. A file is replaced as a whole: a running dbt keeps its own.
set -euo pipefail
export crossgen=$1 framework=$2 input=${3%/} output=$4

machine_code() {
    local source=$1 result=$2 folder
    local -a references=(-r "$input/*.dll")
    shift 2
    for folder in "$framework" "${framework/Microsoft.NETCore.App/Microsoft.AspNetCore.App}"; do
        [[ ! -d $folder ]] || references+=(-r "$folder/*.dll")
    done
    "$crossgen" "$source" "${references[@]}" --targetos linux --targetarch x64 --instruction-set native -O "$@" -o "$result" > /dev/null 2>&1
}
export -f machine_code

compile() {
    local name=$1 result=$output/.$1.$$
    [[ $output/$name -nt $input/$name ]] && return 0

    # With code of the framework's generic types for types of ours, which otherwise some thousand times a start the just-in-time compiler makes; the runtime compiles for itself
    # what such code was made from and is another in its framework. Managed assemblies all; a library without code, or in a form that the compiler doesn't know, still has to be there.
    machine_code "$input/$name" "$result" '--opt-cross-module:*' '--non-local-generics-module:*' || machine_code "$input/$name" "$result" || cp "$input/$name" "$result"
    touch "$result"
    mv -f "$result" "$output/$name"
}
export -f compile

[[ -f $crossgen && -d $framework ]] || { echo "precompile: $crossgen or $framework is absent" >&2; exit 1; }
[[ -x $crossgen ]] || chmod +x "$crossgen"
mkdir -p "$output"
for old in "$output"/*.dll; do
    [[ -f $input/${old##*/} ]] || rm -f "$old"
done
(cd "$input" && printf '%s\0' *.dll) | xargs -0 -n 1 -P "$(nproc)" bash -c 'set -euo pipefail; compile "$1"' compile
cp "$input"/*.json "$output/"

# Libraries of the host's machine code: found from beside the command.
[[ ! -d $input/runtimes ]] || cp -ru "$input/runtimes" "$output/"
