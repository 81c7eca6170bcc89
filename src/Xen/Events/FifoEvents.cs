using Dbt.Runtime.Memory;
using Dbt.Xen.Abi;

namespace Dbt.Xen.Events;

/// <summary>
/// The FIFO ABI (public/event_channel.h, EVTCHN_FIFO_*; "Event Channel Upcalls: FIFO", draft H). Each port has an event word in pages that the guest gave
/// (the event array), each processor a control block with the heads of 16 queues and a word that says which of them hold something. A queue is a list linked
/// through event words; we append at its tail, the guest takes from its head. The tails are ours alone: no link that a guest writes is ever followed.
/// </summary>
internal sealed unsafe class FifoEvents : EventAbi
{
    /// <summary>EVTCHN_FIFO_NR_CHANNELS.</summary>
    public const int Limit = 1 << LinkBits;

    /// <summary>EVTCHN_FIFO_LINK_BITS: bits of a word that hold the next port.</summary>
    public const int LinkBits = 17;

    /// <summary>EVTCHN_FIFO_MAX_QUEUES, and the priority of a port that nobody set one for.</summary>
    public const int Queues = 16, DefaultPriority = 7;

    /// <summary>sizeof(struct evtchn_fifo_control_block): the ready word, a reserved one, a head for each queue.</summary>
    public const int ControlBlockSize = 8 + (Queues * 4);

    /// <summary>Event words of a page.</summary>
    public const int WordsPerPage = Layout.PageSize / 4;

    /// <summary>Bits of an event word.</summary>
    public const uint PendingBit = 1u << 31, MaskedBit = 1u << 30, LinkedBit = 1u << 29, BusyBit = 1u << 28, LinkMask = Limit - 1;

    // While a tail is LINKED the guest may change MASKED, PENDING and LINKED, each once, and BUSY holds off unmasking.
    private const int MostAttempts = 4;
    private const int HeadsOffset = 8;

    private readonly Domain _domain;
    private readonly MachineMemory _machine;
    private readonly ControlBlock?[] _blocks;
    private readonly List<uint> _pages = [];

    /// <summary>Makes one without control blocks and without event words.</summary>
    public FifoEvents(Domain domain)
    {
        _domain = domain;
        _machine = domain.Hypervisor.Machine;
        _blocks = new ControlBlock?[domain.Vcpus.Count];
    }

    /// <inheritdoc/>
    public override int Ports => Limit;

    /// <summary>Ports that have an event word.</summary>
    public int Words => _pages.Count * WordsPerPage;

    /// <summary>The processors' control blocks; null for one that gave none yet.</summary>
    public IReadOnlyList<ControlBlock?> Blocks => _blocks;

    /// <summary>Machine frames of the event array, in its order.</summary>
    public IReadOnlyList<uint> Pages => _pages;

    /// <summary>Gives a processor its control block, whose frame the caller has taken.</summary>
    /// <returns>False where it has one.</returns>
    public bool TryAddBlock(int vcpu, uint mfn, uint offset)
    {
        if (_blocks[vcpu] is not null)
        {
            return false;
        }

        _blocks[vcpu] = new ControlBlock(mfn, offset);
        return true;
    }

    /// <summary>Adds a page to the event array, whose frame the caller has taken.</summary>
    /// <returns>False where it has all that there can be.</returns>
    public bool TryAddPage(uint mfn)
    {
        if (Words >= Limit)
        {
            return false;
        }

        _pages.Add(mfn);
        return true;
    }

    /// <summary>Forgets the guest's pages.</summary>
    /// <returns>Their frames, for the caller to give back, each as often as it was taken.</returns>
    public List<uint> TakeFrames()
    {
        List<uint> frames = [.. _blocks.OfType<ControlBlock>().Select(static block => block.Mfn), .. _pages];
        Array.Clear(_blocks);
        _pages.Clear();
        return frames;
    }

    /// <inheritdoc/>
    public override void SetPending(uint port, EventChannel channel)
    {
        uint* word = Word(port);
        if (word == null)
        {
            // Told once its word is there.
            channel.IsLatched = true;
            return;
        }

        channel.IsLatched = false;
        Or(port, PendingBit);
        if (_blocks[channel.Vcpu] is not { } block)
        {
            // XSA-107: the guest must not unmask a port of a processor without a control block; what it does is its own loss.
            _domain.Log.AddOnce($"events: processor {channel.Vcpu} has no FIFO control block; an event at port {port} is lost");
            return;
        }

        if ((Volatile.Read(ref *word) & MaskedBit) != 0 || (Or(port, LinkedBit) & LinkedBit) != 0)
        {
            return;
        }

        // What was a tail has emptied its queue, so nothing may be appended to it there.
        if (_blocks[channel.QueueVcpu] is { } last && last.Tails[channel.QueuePriority] == port)
        {
            last.Tails[channel.QueuePriority] = 0;
        }

        int queue = channel.Priority;
        (channel.QueueVcpu, channel.QueuePriority) = (channel.Vcpu, queue);
        uint tail = block.Tails[queue];
        block.Tails[queue] = port;
        if (tail != 0 && TryLink(tail, port))
        {
            return;
        }

        byte* control = Host(block);
        uint bit = 1u << queue;
        Volatile.Write(ref *(uint*)(control + HeadsOffset + (queue * 4)), port);
        bool wasReady = (Interlocked.Or(ref *(uint*)control, bit) & bit) != 0;
        Written(block.Mfn, block.Offset);
        if (!wasReady)
        {
            MarkPending(_domain.Vcpus[channel.Vcpu]);
        }
    }

    /// <inheritdoc/>
    public override void Unmask(uint port, EventChannel? channel)
    {
        if (Word(port) == null)
        {
            return;
        }

        And(port, ~MaskedBit);
        if (channel is not null && IsPending(port))
        {
            SetPending(port, channel);
        }
    }

    /// <inheritdoc/>
    /// <remarks>The port may stay on its queue: the guest takes it off, and ignores what isn't pending.</remarks>
    public override void ClearPending(uint port)
    {
        if (Word(port) != null)
        {
            And(port, ~PendingBit);
        }
    }

    /// <inheritdoc/>
    public override bool IsPending(uint port) => Has(port, PendingBit);

    /// <inheritdoc/>
    public override bool IsMasked(uint port) => Word(port) == null || Has(port, MaskedBit);

    /// <inheritdoc/>
    public override bool IsBusy(uint port) => Has(port, LinkedBit);

    /// <inheritdoc/>
    /// <remarks>Counts from the port's next event on; one that waits stays on the queue where it is.</remarks>
    public override int SetPriority(EventChannel channel, uint priority)
    {
        if (priority >= Queues)
        {
            return -Errno.EINVAL;
        }

        channel.Priority = (int)priority;
        return 0;
    }

    private static byte* Host(MachineMemory machine, uint mfn, uint offset) => machine.Frame(mfn) + offset;

    private byte* Host(ControlBlock block) => Host(_machine, block.Mfn, block.Offset);

    private uint* Word(uint port) =>
        port < (uint)Words ? (uint*)Host(_machine, _pages[(int)(port / WordsPerPage)], port % WordsPerPage * 4) : null;

    private bool Has(uint port, uint bit)
    {
        uint* word = Word(port);
        return word != null && (Volatile.Read(ref *word) & bit) != 0;
    }

    private uint Or(uint port, uint bits)
    {
        uint was = Interlocked.Or(ref *Word(port), bits);
        Written(port);
        return was;
    }

    private void And(uint port, uint bits)
    {
        Interlocked.And(ref *Word(port), bits);
        Written(port);
    }

    // Links the tail's word to a port, if the tail is still on its queue. As in Xen, BUSY keeps the guest from unmasking for so long.
    private bool TryLink(uint tail, uint port)
    {
        uint* word = Word(tail);
        uint seen = Volatile.Read(ref *word);
        for (int attempt = 0; attempt <= MostAttempts; attempt++)
        {
            if ((seen & LinkedBit) == 0)
            {
                if (attempt > 0)
                {
                    And(tail, ~BusyBit);
                }

                return false;
            }

            uint was = Interlocked.CompareExchange(ref *word, (seen & ~(BusyBit | LinkMask)) | port, seen);
            if (was == seen)
            {
                Written(tail);
                return true;
            }

            seen = attempt == 0 ? Or(tail, BusyBit) | BusyBit : was;
        }

        // A guest that changes a word on a queue again and again loses the event.
        And(tail, ~BusyBit);
        _domain.Log.AddOnce("events: a FIFO queue's last word changed again and again; events were lost");
        return true;
    }

    private void Written(uint port) => Written(_pages[(int)(port / WordsPerPage)], port % WordsPerPage * 4);

    private void Written(uint mfn, uint offset)
    {
        byte* host = Host(_machine, mfn, offset);
        if (_machine.CodeMap.Watches(host))
        {
            _machine.CodeMap.Written(host, 4);
        }
    }

    /// <summary>Where a processor's control block is, and the last port of each of its queues, 0 for none.</summary>
    internal sealed class ControlBlock(uint mfn, uint offset)
    {
        public uint Mfn => mfn;

        public uint Offset => offset;

        public uint[] Tails { get; } = new uint[Queues];
    }
}
