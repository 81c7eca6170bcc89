using System.Runtime.InteropServices;

namespace Dbt.Runtime.HostTime;

/// <summary>
/// An auto-reset event with nanosecond time-outs, for one waiter and any number of setters. A waiter really sleeps (ppoll on an
/// eventfd); setting it while nobody waits costs one atomic exchange and no system call.
/// </summary>
public sealed unsafe partial class HostEvent : IDisposable
{
    private const int Idle = 0, Waiting = 1, Signalled = 2;
    private const int NonBlocking = 0x800, CloseOnExec = 0x80000;
    private const short PollIn = 1;

    private int _state;
    private int _descriptor;

    /// <summary>Makes an unset event.</summary>
    /// <exception cref="InvalidOperationException">The host is out of file descriptors.</exception>
    public HostEvent()
    {
        _descriptor = CreateEvent(0, NonBlocking | CloseOnExec);
        if (_descriptor < 0)
        {
            throw new InvalidOperationException("The host gives no more file descriptors; raise its limit (ulimit -n).");
        }
    }

    /// <summary>Sets it. Any thread.</summary>
    public void Set()
    {
        if (Interlocked.Exchange(ref _state, Signalled) == Waiting)
        {
            ulong one = 1;
            _ = Write(_descriptor, &one, 8);
        }
    }

    /// <summary>Waits until it is set, and resets it. May also return true spuriously: callers look at their own condition.</summary>
    /// <param name="nanoseconds">Longest wait; negative waits for ever, 0 only looks.</param>
    /// <returns>False where the time ran out.</returns>
    public bool Wait(long nanoseconds)
    {
        int found = Interlocked.CompareExchange(ref _state, nanoseconds == 0 ? Idle : Waiting, Idle);
        if (found == Signalled)
        {
            Volatile.Write(ref _state, Idle);
            return true;
        }

        if (nanoseconds == 0)
        {
            return false;
        }

        var poll = new PollDescriptor { Descriptor = _descriptor, Events = PollIn };
        var time = new TimeSpecification { Seconds = nanoseconds / 1_000_000_000, Nanoseconds = nanoseconds % 1_000_000_000 };
        int ready = Poll(&poll, 1, nanoseconds < 0 ? null : &time, null);
        bool set = Interlocked.Exchange(ref _state, Idle) == Signalled;
        if (ready > 0)
        {
            ulong count;
            _ = Read(_descriptor, &count, 8);
        }

        return set || ready != 0;
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

    [LibraryImport("libc", EntryPoint = "eventfd")]
    private static partial int CreateEvent(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "ppoll")]
    private static partial int Poll(PollDescriptor* descriptors, nuint count, TimeSpecification* timeout, void* signals);

    [LibraryImport("libc", EntryPoint = "read")]
    private static partial nint Read(int descriptor, void* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int descriptor, void* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    private struct TimeSpecification
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
