using System.Runtime.InteropServices;

namespace Dbt.Runtime.HostTime;

/// <summary>The host's processor time of one thread of this process, which any thread may read.</summary>
public sealed unsafe partial class HostThreadClock
{
    // The kernel's number of a thread's clock (CPUCLOCK_PERTHREAD, CPUCLOCK_SCHED): user and system time.
    private const int PerThread = 4, Scheduled = 2, ThreadBits = 3;

    private readonly int _clock;

    private HostThreadClock(int thread) => _clock = (~thread << ThreadBits) | PerThread | Scheduled;

    /// <summary>The calling thread's.</summary>
    public static HostThreadClock Current => new(ThreadNumber());

    /// <summary>Time so far; null where the thread has ended.</summary>
    public TimeSpan? Time
    {
        get
        {
            long* time = stackalloc long[2];
            return GetTime(_clock, time) == 0 ? TimeSpan.FromSeconds(time[0]) + TimeSpan.FromTicks(time[1] / TimeSpan.NanosecondsPerTick) : null;
        }
    }

    [LibraryImport("libc", EntryPoint = "gettid")]
    private static partial int ThreadNumber();

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int GetTime(int clock, long* time);
}
