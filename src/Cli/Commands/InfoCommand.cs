using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Cli.Api;
using Dbt.Cli.Hosting;
using Dbt.Xen.Hypercalls;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt info</c>: the host, and the Xen that guests see, by xl's keys.</summary>
internal static class InfoCommand
{
    private const int KibPerMib = 1024;

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var command = new Command("info", "Show what there is to know of the host and the hypervisor.");
        command.SetAction(async (_, _) =>
        {
            using DaemonClient? daemon = DaemonClient.TryFind();
            Information? information = daemon is null ? null
                : await daemon.CallAsync(calls => calls.GetInformationAsync(new InformationRequest())).ConfigureAwait(false);
            foreach ((string key, string value) in Facts(information))
            {
                Console.Out.WriteLine(Row(key, value));
            }

            return ExitStatus.Success;
        });
        return command;
    }

    /// <summary>A row.</summary>
    public static string Row(string key, string value) => $"{key,-23}: {value}";

    /// <summary>What is shown.</summary>
    /// <param name="daemon">The daemon; null where none runs.</param>
    public static IEnumerable<(string Key, string Value)> Facts(Information? daemon)
    {
        IReadOnlyDictionary<string, string> processor = HostFile.Read("/proc/cpuinfo"), memory = HostFile.Read("/proc/meminfo");
        string processors = Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture);
        yield return ("host", Environment.MachineName);
        yield return ("release", HostFile.Line("/proc/sys/kernel/osrelease"));
        yield return ("version", HostFile.Line("/proc/sys/kernel/version"));
        yield return ("machine", RuntimeInformation.OSArchitecture == Architecture.X64 ? "x86_64" : RuntimeInformation.OSArchitecture.ToString());
        yield return ("nr_cpus", processors);
        yield return ("max_cpu_id", (Environment.ProcessorCount - 1).ToString(CultureInfo.InvariantCulture));
        yield return ("nr_nodes", "1");
        yield return ("cores_per_socket", processor.GetValueOrDefault("cpu cores", processors));
        yield return ("cpu_mhz", processor.GetValueOrDefault("cpu MHz", "0"));
        yield return ("virt_caps", "pv");
        yield return ("total_memory", Mib(memory, "MemTotal"));
        yield return ("free_memory", Mib(memory, "MemAvailable"));
        yield return ("free_cpus", "0");
        yield return ("xen_major", (XenVersion.Version >> 16).ToString(CultureInfo.InvariantCulture));
        yield return ("xen_minor", (XenVersion.Version & 0xFFFF).ToString(CultureInfo.InvariantCulture));
        yield return ("xen_extra", XenVersion.Extra);
        yield return ("xen_version", FormattableString.Invariant($"{XenVersion.Version >> 16}.{XenVersion.Version & 0xFFFF}{XenVersion.Extra}"));
        yield return ("xen_caps", XenVersion.CapabilityNames);
        yield return ("xen_scheduler", "credit");
        yield return ("xen_pagesize", "4096");
        yield return ("platform_params", "virt_start=0xf5800000");
        yield return ("xen_changeset", XenVersion.ChangesetName);
        yield return ("xen_commandline", "");
        yield return ("cc_compiler", XenVersion.Compiler);
        yield return ("dbt_version", VersionCommand.Version);
        yield return ("dbt_daemon", daemon is null ? "not running"
            : FormattableString.Invariant($"process {daemon.ProcessId}, {daemon.Domains} domains, {daemon.FreeKib / KibPerMib} of {daemon.TotalKib / KibPerMib} MiB free for more, log {daemon.Log}"));
    }

    private static string Mib(IReadOnlyDictionary<string, string> memory, string key) =>
        memory.TryGetValue(key, out string? text) && ulong.TryParse(text.Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out ulong kib)
            ? (kib / KibPerMib).ToString(CultureInfo.InvariantCulture) : "0";
}
