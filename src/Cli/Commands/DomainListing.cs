using System.Globalization;
using Dbt.Cli.Api;

namespace Dbt.Cli.Commands;

/// <summary>What is told of running guests, in xl's own formats, which people's scripts read.</summary>
internal static class DomainListing
{
    /// <summary><c>list</c>'s header.</summary>
    public const string Header = "Name                                        ID   Mem VCPUs\tState\tTime(s)";

    /// <summary>What <c>list -v</c> adds to it.</summary>
    public const string VerboseHeader = "   UUID                            Reason-Code\tSecurity Label";

    /// <summary><c>vm-list</c>'s header.</summary>
    public const string UuidHeader = "UUID                                  ID    name";

    /// <summary><c>block-list</c>'s header.</summary>
    public static readonly string DiskHeader = $"{"Vdev",-5} {"BE",-3} {"handle",-6} {"state",-5} {"evt-ch",-6} {"ring-ref",-8} {"BE-path",-30}";

    /// <summary><c>network-list</c>'s header.</summary>
    public static readonly string NetworkHeader =
        $"{"Idx",-3} {"BE",-2} {"Mac Addr.",-17} {"handle",-6} {"state",-5} {"evt-ch",-6} {"tx-/rx-ring-ref",5} {"BE-path",-30}";

    /// <summary><c>uptime</c>'s header.</summary>
    public static readonly string UptimeHeader = $"{"Name",-33} {"ID",4} {"Uptime"}";

    /// <summary><c>vcpu-list</c>'s header.</summary>
    public static readonly string VcpuHeader = $"{"Name",-32} {"ID",5} {"VCPU",5} {"CPU",5} {"State",5} {"Time(s)",9} Affinity (Hard / Soft)";

    /// <summary><c>sched-credit</c>'s header.</summary>
    public static readonly string ShareHeader = $"{"Name",-33} {"ID",4} {"Weight",6} {"Cap",4}";

    private const ulong KibPerMib = 1024;

    /// <summary>A row of <c>list</c>.</summary>
    public static string Row(Domain domain)
    {
        bool running = domain.Vcpus.Any(vcpu => vcpu.State == Vcpu.Types.State.Running);
        bool stopped = domain.Stopped.Length > 0;
        bool blocked = !running && !domain.Vcpus.Any(vcpu => vcpu.State == Vcpu.Types.State.Runnable);
        char r = running && !domain.Paused && !stopped ? 'r' : '-', b = blocked && !domain.Paused && !stopped ? 'b' : '-';
        char p = domain.Paused ? 'p' : '-', s = stopped ? 's' : '-', reason = domain.Stopped is "" or "p" ? '-' : domain.Stopped[0];
        int online = domain.Vcpus.Count(vcpu => vcpu.State != Vcpu.Types.State.Down);
        return Format($"{domain.Name,-40} {domain.Id,5} {domain.MemoryKib / KibPerMib,5} {online,5}     {r}{b}{p}{s}{reason}-  {domain.Vcpus.Sum(vcpu => vcpu.RunSeconds),8:0.0}");
    }

    /// <summary>What <c>list -v</c> adds to a row: UUID, the number of why it stopped, and a label that nothing has here.</summary>
    public static string VerboseRow(Domain domain)
    {
        string reason = domain.Stopped.Length == 0 ? "-" : Format($"{"prscwS".IndexOf(domain.Stopped[0], StringComparison.Ordinal):x}");
        return Format($" {domain.Uuid} {reason,8} {"-",16}");
    }

    /// <summary>A row of <c>sched-credit</c>.</summary>
    public static string ShareRow(Domain domain) => Format($"{domain.Name,-33} {domain.Id,4} {domain.Weight,6} {domain.Cap,4}");

    /// <summary>A row of <c>vm-list</c>.</summary>
    public static string UuidRow(Domain domain) => Format($"{domain.Uuid}  {domain.Id}    {domain.Name,-30}");

    /// <summary>Rows of <c>vcpu-list</c>.</summary>
    public static IEnumerable<string> VcpuRows(Domain domain)
    {
        for (int i = 0; i < domain.Vcpus.Count; i++)
        {
            Vcpu vcpu = domain.Vcpus[i];
            string state = vcpu.State switch
            {
                Vcpu.Types.State.Running when !domain.Paused => "r--",
                Vcpu.Types.State.Runnable when !domain.Paused => "---",
                Vcpu.Types.State.Blocked when !domain.Paused => "-b-",
                _ => "--p",
            };
            yield return Format($"{domain.Name,-32} {domain.Id,5} {i,5} {"-",5}   {state} {vcpu.RunSeconds,9:0.0}  all / all");
        }
    }

    /// <summary>A row of <c>block-list</c>.</summary>
    public static string Row(Disk disk) =>
        Format($"{disk.Number,-5} {disk.Backend,-3} {disk.Number,-6} {disk.State,-5} {disk.EventChannel,-6} {disk.Ring,-8} {disk.BackendPath,-30}");

    /// <summary>A row of <c>network-list</c>.</summary>
    public static string Row(Network card) =>
        Format($"{card.Handle,-3} {card.Backend,-2} {card.Mac,-17} {card.Handle,6} {card.State,5} {card.EventChannel,6} {card.TransmitRing,5}/{card.ReceiveRing,-11} {card.BackendPath,-30}");

    /// <summary>A row of <c>uptime</c>.</summary>
    public static string UptimeRow(Domain domain)
    {
        var up = TimeSpan.FromSeconds(Math.Floor(domain.UpSeconds));
        string days = up.Days == 0 ? "" : up.Days == 1 ? "1 day, " : Format($"{up.Days} days, ");
        return Format($"{domain.Name,-33} {domain.Id,4} {days}{up.Hours,2}:{up.Minutes:00}:{up.Seconds:00}");
    }

    private static string Format(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
