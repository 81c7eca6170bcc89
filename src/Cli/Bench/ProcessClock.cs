using System.Runtime.InteropServices;

namespace Dbt.Cli.Bench;

/// <summary>A process's CPU clock: user and system time of all its threads, those that have ended too, to the nanosecond.</summary>
internal static partial class ProcessClock
{
    private const int ScheduledTime = 2;

    /// <summary>Seconds of CPU so far; null where there is no such process any more.</summary>
    public static unsafe double? Read(int process)
    {
        // clock_getcpuclockid(3) is this and a check.
        long* time = stackalloc long[2];
        return GetTime((~process << 3) | ScheduledTime, time) == 0 ? time[0] + (time[1] / 1e9) : null;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static unsafe partial int GetTime(int clock, long* time);
}
