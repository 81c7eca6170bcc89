using System.Runtime.InteropServices;

namespace Dbt.Translator.Cache;

/// <summary>The calling thread's processor time: what a compilation cost, however busy the machine is.</summary>
internal static unsafe partial class ThreadTime
{
    // <time.h>
    private const int ThreadCpuClock = 3;

    /// <summary>User and system time, nanoseconds.</summary>
    public static long Nanoseconds
    {
        get
        {
            long* time = stackalloc long[2];
            return GetTime(ThreadCpuClock, time) == 0 ? (time[0] * 1_000_000_000) + time[1] : throw new InvalidOperationException("clock_gettime failed.");
        }
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int GetTime(int clock, long* time);
}
