using System.Runtime.InteropServices;

namespace Dbt.Runtime.HostTime;

/// <summary>
/// A moment of <see cref="HostClock"/> that one thread sleeps until, and that any thread may move without waking it (timerfd on Linux's
/// monotonic clock, which is what <see cref="HostClock"/> reads).
/// </summary>
public sealed unsafe partial class HostAlarm : IDisposable
{
    private const int Monotonic = 1, CloseOnExec = 0x80000, AbsoluteTime = 1, NanosecondsPerSecond = 1_000_000_000;

    private int _descriptor;

    /// <summary>Makes an alarm that is off.</summary>
    /// <exception cref="InvalidOperationException">The host is out of file descriptors.</exception>
    public HostAlarm()
    {
        _descriptor = CreateTimer(Monotonic, CloseOnExec);
        if (_descriptor < 0)
        {
            throw new InvalidOperationException("The host gives no more file descriptors; raise its limit (ulimit -n).");
        }
    }

    /// <summary>Sets the moment, replacing the one before; what has passed rings at once. Any thread; the last call counts.</summary>
    /// <param name="hostTime">Host time in nanoseconds; <see cref="long.MaxValue"/> turns it off.</param>
    public void Set(long hostTime)
    {
        // All zeroes would turn it off.
        long at = hostTime == long.MaxValue ? 0 : Math.Max(hostTime, 1);
        var setting = new TimerSetting { Seconds = at / NanosecondsPerSecond, Nanoseconds = at % NanosecondsPerSecond };
        _ = SetTimer(_descriptor, AbsoluteTime, &setting, null);
    }

    /// <summary>Sleeps until the moment that is set comes. May also return early: callers look at the time.</summary>
    public void Wait()
    {
        ulong count;
        _ = Read(_descriptor, &count, 8);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor >= 0)
        {
            _ = Close(descriptor);
        }
    }

    [LibraryImport("libc", EntryPoint = "timerfd_create")]
    private static partial int CreateTimer(int clock, int flags);

    [LibraryImport("libc", EntryPoint = "timerfd_settime")]
    private static partial int SetTimer(int descriptor, int flags, TimerSetting* setting, TimerSetting* before);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint Read(int descriptor, void* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    private struct TimerSetting
    {
        public long IntervalSeconds;
        public long IntervalNanoseconds;
        public long Seconds;
        public long Nanoseconds;
    }
}
