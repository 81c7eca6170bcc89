using System.Net.Sockets;
using System.Runtime.InteropServices;
using Dbt.Runtime;

namespace Dbt.Devices.Network.Nat;

/// <summary>What became of a socket (epoll_ctl(2)).</summary>
[Flags]
internal enum PollEvents : uint
{
    /// <summary>Nothing changed: another turn (<see cref="NatStack.Later"/>).</summary>
    None = 0,

    /// <summary>There is something to read, or an end of it.</summary>
    Readable = 0x1,

    /// <summary>There is room to write; a connection was made.</summary>
    Writable = 0x4,

    /// <summary>An error waits.</summary>
    Error = 0x8,

    /// <summary>Both directions are closed.</summary>
    HangUp = 0x10,

    /// <summary>The other side sends no more.</summary>
    ReadHangUp = 0x2000,
}

/// <summary>Who has a socket watched.</summary>
internal abstract class PollSource
{
    /// <summary>Place in the poller's table; negative where it isn't watched.</summary>
    internal int Slot { get; set; } = -1;

    /// <summary>Whether it is in the stack's list of those that get another turn.</summary>
    internal bool IsListed { get; set; }

    /// <summary>Something changed. Edges are told, once: remember what can be read or written until it would block.</summary>
    public abstract void Ready(PollEvents events);
}

/// <summary>
/// One epoll descriptor and one eventfd to wake its waiter. .NET's own socket engine hands completions to the thread pool; here one thread
/// owns everything and asks for readiness only, which .NET has no interface to but <see cref="Socket.Select(System.Collections.IList?, System.Collections.IList?, System.Collections.IList?, TimeSpan)"/>
/// with its cost for each socket and call.
/// </summary>
internal sealed unsafe partial class HostPoller : IDisposable
{
    private const int NonBlocking = 0x800, CloseOnExec = 0x80000, Add = 1, Delete = 2, BatchSize = 64;
    private const uint EdgeTriggered = 1u << 31;
    private const ulong WakeToken = ulong.MaxValue;

    private readonly int _epoll;
    private readonly int _wake;
    private readonly List<PollSource?> _sources = [];
    private readonly List<uint> _generations = [];
    private readonly Stack<int> _free = [];
    private int _waiting;

    /// <summary>Makes an empty one.</summary>
    /// <exception cref="HostException">The host has no more descriptors.</exception>
    public HostPoller()
    {
        _epoll = CreateEpoll(CloseOnExec);
        _wake = CreateEvent(0, NonBlocking | CloseOnExec);
        var wake = new Event { Events = (uint)PollEvents.Readable | EdgeTriggered, Token = WakeToken };
        if (_epoll < 0 || _wake < 0 || Control(_epoll, Add, _wake, &wake) != 0)
        {
            Dispose();
            throw new HostException("the network can't start: the host gives no more file descriptors; raise its limit (ulimit -n)");
        }
    }

    /// <summary>Sources that are watched.</summary>
    public int Count => _sources.Count - _free.Count;

    /// <summary>Watches a socket.</summary>
    /// <returns>False where the host's limits don't allow it.</returns>
    public bool TryAdd(PollSource source, Socket socket)
    {
        if (!_free.TryPop(out int slot))
        {
            slot = _sources.Count;
            _sources.Add(null);
            _generations.Add(0);
        }

        var watched = new Event
        {
            Events = (uint)(PollEvents.Readable | PollEvents.Writable | PollEvents.ReadHangUp) | EdgeTriggered,
            Token = ((ulong)_generations[slot] << 32) | (uint)slot,
        };
        if (Control(_epoll, Add, (int)socket.Handle, &watched) != 0)
        {
            _free.Push(slot);
            return false;
        }

        _sources[slot] = source;
        source.Slot = slot;
        return true;
    }

    /// <summary>Watches a socket no more; events that were already fetched don't reach it either. Before the socket is closed.</summary>
    public void Remove(PollSource source, Socket socket)
    {
        if (source.Slot < 0)
        {
            return;
        }

        Event unused;
        _ = Control(_epoll, Delete, (int)socket.Handle, &unused);
        _sources[source.Slot] = null;
        _generations[source.Slot]++;
        _free.Push(source.Slot);
        source.Slot = -1;
    }

    /// <summary>Ends the current or the next wait. Any thread; costs a system call only where somebody sleeps.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref _waiting, 0) != 0)
        {
            ulong one = 1;
            _ = Write(_wake, &one, 8);
        }
    }

    /// <summary>Waits until something is ready, and tells the sources.</summary>
    /// <param name="milliseconds">Longest wait; negative waits for ever.</param>
    /// <param name="mustStay">Asked just before the sleep: whether what <see cref="Wake"/> was called for before is already there.</param>
    public void Wait(int milliseconds, Func<bool>? mustStay = null)
    {
        if (milliseconds != 0)
        {
            Interlocked.Exchange(ref _waiting, 1);
            if (mustStay is not null && mustStay())
            {
                milliseconds = 0;
            }
        }

        Event* events = stackalloc Event[BatchSize];
        int count = WaitEpoll(_epoll, events, BatchSize, milliseconds);
        Interlocked.Exchange(ref _waiting, 0);
        for (int i = 0; i < count; i++)
        {
            if (events[i].Token == WakeToken)
            {
                continue; // an edge: the count need not be read
            }

            int slot = (int)(uint)events[i].Token;
            if (_generations[slot] == (uint)(events[i].Token >> 32))
            {
                _sources[slot]?.Ready((PollEvents)events[i].Events);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (int descriptor in (ReadOnlySpan<int>)[_epoll, _wake])
        {
            if (descriptor >= 0)
            {
                _ = Close(descriptor);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1")]
    private static partial int CreateEpoll(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl")]
    private static partial int Control(int epoll, int operation, int descriptor, Event* watched);

    [LibraryImport("libc", EntryPoint = "epoll_wait")]
    private static partial int WaitEpoll(int epoll, Event* events, int most, int milliseconds);

    [LibraryImport("libc", EntryPoint = "eventfd")]
    private static partial int CreateEvent(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int descriptor, void* buffer, nuint length);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);

    // struct epoll_event is packed on x86-64.
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Event
    {
        public uint Events;
        public ulong Token;
    }
}
