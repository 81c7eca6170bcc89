using System.Globalization;
using System.Runtime.InteropServices;
using Dbt.Perf.Boot;

namespace Dbt.Perf.Idle;

/// <summary>What a process has used so far, by the host's kernel.</summary>
/// <param name="Cpu">Processor time of all its threads, by the scheduler's own account.</param>
/// <param name="Switches">How often one of them went to sleep.</param>
/// <param name="ResidentKib">Its memory.</param>
/// <param name="MachineKib">That part of it which is the guests'.</param>
internal sealed partial record DaemonSample(TimeSpan Cpu, long Switches, long ResidentKib, long MachineKib)
{
    // The machine's frames are the one reservation of at least this size; the kernel may join others to it.
    private const ulong MachineBytes = 16UL << 30;

    /// <summary>Takes it.</summary>
    public static DaemonSample Take(int process)
    {
        long switches = 0;
        foreach (string thread in Directory.EnumerateDirectories($"/proc/{process}/task"))
        {
            try
            {
                switches += Value(File.ReadLines(Path.Combine(thread, "status")), "voluntary_ctxt_switches:");
            }
            catch (IOException)
            {
                // It has just ended.
            }
        }

        (long resident, long machine) = Memory(process);
        return new DaemonSample(CpuTime(process), switches, resident, machine);
    }

    // The kernel's number of a process's clock (CPUCLOCK_SCHED), which counts threads that have ended too.
    private static unsafe TimeSpan CpuTime(int process)
    {
        long* time = stackalloc long[2];
        return GetTime((~process << 3) | 2, time) == 0 ? TimeSpan.FromSeconds(time[0]) + TimeSpan.FromMicroseconds(time[1] / 1000.0)
            : throw new BootFailure($"process {process} has ended.");
    }

    private static (long Resident, long Machine) Memory(int process)
    {
        long resident = 0, machine = 0;
        ulong size = 0;
        foreach (string line in File.ReadLines($"/proc/{process}/smaps"))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words[0] == "Size:")
            {
                size = ulong.Parse(words[1], CultureInfo.InvariantCulture) << 10;
            }
            else if (words[0] == "Rss:")
            {
                long kib = long.Parse(words[1], CultureInfo.InvariantCulture);
                resident += kib;
                machine += size >= MachineBytes ? kib : 0;
            }
        }

        return (resident, machine);
    }

    private static long Value(IEnumerable<string> lines, string key) =>
        lines.Where(line => line.StartsWith(key, StringComparison.Ordinal)).Sum(line => long.Parse(line[key.Length..].Trim(), CultureInfo.InvariantCulture));

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static unsafe partial int GetTime(int clock, long* time);
}
