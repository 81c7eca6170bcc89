using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Dbt.Xen.Hypercalls;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt top</c>: who uses what, in xentop's format.</summary>
internal static class TopCommand
{
    private const double DefaultSeconds = 3, LeastSeconds = 0.1, MostSeconds = 1e6;

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var batch = new Option<bool>("-b", "--batch") { Description = "Write tables one below the other, for other programs." };
        var iterations = new Option<int?>("-i", "--iterations") { Description = "So many tables.", HelpName = "N" };
        var delay = new Option<double>("-d", "--delay") { Description = $"Seconds between them ({DefaultSeconds}).", HelpName = "S", DefaultValueFactory = _ => DefaultSeconds };
        var fullName = new Option<bool>("-f", "--full-name") { Description = "Names at their full length." };
        var command = new Command("top", "Show again and again what guests use; ^C leaves.") { batch, iterations, delay, fullName };
        command.SetAction(async (result, _) =>
        {
            double seconds = result.GetValue(delay);
            if (seconds is not (>= LeastSeconds and <= MostSeconds) || result.GetValue(iterations) is <= 0)
            {
                throw new ControlException(ControlError.Invalid, "-d takes seconds from 0.1 on, -i a number from 1 on");
            }

            using var interrupted = new CancellationTokenSource();
            using PosixSignalRegistration interrupt = Ends(PosixSignal.SIGINT), terminate = Ends(PosixSignal.SIGTERM);
            await RunAsync(result.GetValue(batch) || Console.IsOutputRedirected, result.GetValue(iterations) ?? int.MaxValue,
                TimeSpan.FromSeconds(seconds), result.GetValue(fullName), interrupted.Token).ConfigureAwait(false);
            return ExitStatus.Success;

            PosixSignalRegistration Ends(PosixSignal signal) => PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                interrupted.Cancel();
            });
        });
        return command;
    }

    private static async Task RunAsync(bool batch, int iterations, TimeSpan delay, bool fullName, CancellationToken interrupted)
    {
        var before = new Dictionary<(uint, string), double>();
        long then = 0;
        for (int i = 0; i < iterations && !interrupted.IsCancellationRequested; i++)
        {
            if (i > 0)
            {
                try
                {
                    await Task.Delay(delay, interrupted).ConfigureAwait(false);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }

            List<(Domain Domain, Usage Usage)> samples = await SampleAsync().ConfigureAwait(false);
            long now = Stopwatch.GetTimestamp();
            double seconds = Stopwatch.GetElapsedTime(then, now).TotalSeconds;
            if (!batch)
            {
                Console.Out.Write("\u001b[H\u001b[2J" + TopTable.Summary(samples.ConvertAll(static sample => sample.Domain)));
            }

            Console.Out.WriteLine(TopTable.Header(fullName));
            foreach ((Domain domain, Usage usage) in samples)
            {
                (uint, string) key = (domain.Id, domain.Uuid);
                double share = before.TryGetValue(key, out double last) ? Math.Max(0, usage.HostCpuSeconds - last) / seconds * 100 : 0;
                before[key] = usage.HostCpuSeconds;
                Console.Out.WriteLine(TopTable.Row(domain, usage, share, fullName));
            }

            then = now;
        }
    }

    private static async Task<List<(Domain Domain, Usage Usage)>> SampleAsync()
    {
        var samples = new List<(Domain, Usage)>();
        foreach (ControlClient client in await GuestCall.NamedOrAllAsync([]).ConfigureAwait(false))
        {
            using (client)
            {
                try
                {
                    samples.Add((client.Domain, await client.CallAsync((call, id, deadline) => call.GetUsageAsync(new DomainRequest { Domain = id }, deadline: deadline)).ConfigureAwait(false)));
                }
                catch (ControlException)
                {
                    // It has just ended.
                }
            }
        }

        return samples;
    }
}

/// <summary>xentop's table.</summary>
internal static class TopTable
{
    private const int NameWidth = 10;

    private static readonly (string Title, int Width)[] Fields =
    [
        ("NAME", NameWidth), ("STATE", 6), ("CPU(sec)", 10), ("CPU(%)", 6), ("MEM(k)", 10), ("MEM(%)", 6), ("MAXMEM(k)", 10), ("MAXMEM(%)", 9), ("VCPUS", 5), ("NETS", 4),
        ("NETTX(k)", 8), ("NETRX(k)", 8), ("VBDS", 4), ("VBD_OO", 8), ("VBD_RD", 8), ("VBD_WR", 8), ("VBD_RSECT", 10), ("VBD_WSECT", 10), ("SSID", 4),
    ];

    private static readonly ulong HostKib = (ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 10;

    /// <summary>The line above the rows.</summary>
    public static string Header(bool fullName) => Line([.. Fields.Select(static field => field.Title)], fullName);

    /// <summary>A guest's row.</summary>
    /// <param name="domain">The guest.</param>
    /// <param name="usage">What it has used.</param>
    /// <param name="share">Of one processor, percent, since the table before.</param>
    /// <param name="fullName">Whether its name isn't cut.</param>
    public static string Row(Domain domain, Usage usage, double share, bool fullName)
    {
        bool stopped = domain.Stopped.Length > 0, running = domain.Vcpus.Any(IsBusy);
        char active = stopped || domain.Paused ? '-' : running ? 'r' : 'b';
        string state = $"--{(active == 'b' ? 'b' : '-')}{(domain.Stopped == "c" ? 'c' : stopped ? 's' : '-')}{(domain.Paused ? 'p' : '-')}{(active == 'r' ? 'r' : '-')}";
        return Line(
        [
            domain.Name, state, Text($"{usage.HostCpuSeconds:0}"), Text($"{share:0.0}"), Text($"{domain.MemoryKib}"), Text($"{100.0 * domain.MemoryKib / HostKib:0.0}"),
            Text($"{domain.MaximumKib}"), Text($"{100.0 * domain.MaximumKib / HostKib:0.0}"), Text($"{domain.Vcpus.Count}"), Text($"{usage.Networks}"), Text($"{usage.TransmittedBytes >> 10}"),
            Text($"{usage.ReceivedBytes >> 10}"), Text($"{usage.Disks}"), "0", Text($"{usage.ReadRequests}"), Text($"{usage.WriteRequests}"), Text($"{usage.ReadSectors}"),
            Text($"{usage.WrittenSectors}"), "0",
        ], fullName);
    }

    /// <summary>What stands above the table on a terminal.</summary>
    public static string Summary(List<Domain> domains)
    {
        int paused = domains.Count(static domain => domain.Paused), crashed = domains.Count(static domain => domain.Stopped == "c");
        int shut = domains.Count(static domain => domain.Stopped.Length > 0) - crashed;
        int running = domains.Count(static domain => !domain.Paused && domain.Stopped.Length == 0 && domain.Vcpus.Any(IsBusy));
        ulong used = domains.Aggregate(0UL, static (sum, domain) => sum + domain.MemoryKib);
        return Text($"xentop - {DateTime.Now:HH:mm:ss}   Xen {XenVersion.Version >> 16}.{XenVersion.Version & 0xFFFF}{XenVersion.Extra}\n")
            + Text($"{domains.Count} domains: {running} running, {domains.Count - running - paused - crashed - shut} blocked, {paused} paused, {crashed} crashed, 0 dying, {shut} shutdown \n")
            + Text($"Mem: {HostKib}k total, {used}k used, {HostKib - Math.Min(used, HostKib)}k free    CPUs: {Environment.ProcessorCount}\n");
    }

    private static bool IsBusy(Vcpu vcpu) => vcpu.State is Vcpu.Types.State.Running or Vcpu.Types.State.Runnable;

    private static string Line(string[] values, bool fullName)
    {
        string name = fullName || values[0].Length <= NameWidth ? values[0].PadLeft(NameWidth) : values[0][..NameWidth];
        return name + string.Concat(Fields.Skip(1).Zip(values.Skip(1), static (field, value) => " " + value.PadLeft(field.Width)));
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
