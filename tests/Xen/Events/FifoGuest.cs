using Dbt.Tests.Xen.Processor;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;

namespace Dbt.Tests.Xen.Events;

/// <summary>A small PV domain that uses the FIFO ABI, with the guest's side of it: control blocks, event words, and taking events off the queues.</summary>
internal sealed unsafe class FifoGuest : IDisposable
{
    public const int EventChannelOp = 32;
    public const uint InitControl = 11, ExpandArray = 12, SetPriority = 13;

    /// <summary>Control blocks, one behind the other from here on, and the array's first pages.</summary>
    public const uint Blocks = 0x2C000, Words = 0x2D000;

    private const uint Bytes = FifoEvents.ControlBlockSize;

    /// <param name="vcpus">Processors, each with a control block.</param>
    /// <param name="pages">Pages of event words to start with.</param>
    /// <param name="hypervisor">Whose domain it is; null for one of its own.</param>
    public FifoGuest(int vcpus = 1, int pages = 1, Hypervisor? hypervisor = null)
    {
        Guest = new PvGuest(vcpus, hypervisor);
        for (uint vcpu = 0; vcpu < vcpus; vcpu++)
        {
            Assert.Equal(0, Init(vcpu));
        }

        for (uint i = 0; i < pages; i++)
        {
            Assert.Equal(0, Expand(Guest.MfnOf(Words + (i << 12))));
        }
    }

    public PvGuest Guest { get; }

    public EventChannels Events => Guest.Domain.Events;

    public ref uint Ready(int vcpu = 0) => ref Guest.Word(Blocks + ((uint)vcpu * Bytes));

    public ref uint Head(int queue, int vcpu = 0) => ref Guest.Word(Blocks + ((uint)vcpu * Bytes) + 8 + ((uint)queue * 4));

    /// <summary>A port's event word, which is in one of the first pages.</summary>
    public ref uint Word(uint port) => ref Guest.Word(Words + (port * 4));

    public int Op(uint command, params uint[] words) => Guest.Call(EventChannelOp, command, Guest.Put(words));

    public int Init(uint vcpu) => Op(InitControl, Guest.MfnOf(Blocks), 0, vcpu * Bytes, vcpu, 0xFFFFFFFF, 0xFFFFFFFF);

    public int Expand(uint mfn) => Op(ExpandArray, mfn, 0);

    public uint Ipi(uint vcpu = 0)
    {
        Assert.Equal(0, Op(7, vcpu, 0));
        return Guest.Reply(1);
    }

    public void Send(uint port) => Assert.Equal(0, Op(4, port));

    /// <summary>Whether a processor was told, and takes that back.</summary>
    public bool TakeUpcall(int vcpu = 0)
    {
        byte* info = Guest.At(PvGuest.SharedInfo) + (vcpu * SharedInfoLayout.VcpuInfoSize);
        bool was = *info != 0;
        *info = 0;
        return was;
    }

    /// <summary>
    /// Takes all events of a processor, the most urgent queue first, as a guest does: the head's word loses LINKED and LINK at once, PENDING when the event is handled.
    /// </summary>
    public List<uint> TakeAll(int vcpu = 0)
    {
        var taken = new List<uint>();
        Span<uint> heads = stackalloc uint[FifoEvents.Queues];
        uint ready = Interlocked.Exchange(ref Ready(vcpu), 0);
        while (ready != 0)
        {
            int queue = System.Numerics.BitOperations.TrailingZeroCount(ready);
            uint head = heads[queue] != 0 ? heads[queue] : Volatile.Read(ref Head(queue, vcpu));
            uint seen = Interlocked.And(ref Word(head), ~(FifoEvents.LinkedBit | FifoEvents.LinkMask));
            heads[queue] = seen & FifoEvents.LinkMask;
            if (heads[queue] == 0)
            {
                ready &= ~(1u << queue);
            }

            if ((seen & FifoEvents.PendingBit) != 0 && (seen & FifoEvents.MaskedBit) == 0)
            {
                Interlocked.And(ref Word(head), ~FifoEvents.PendingBit);
                taken.Add(head);
            }

            ready |= Interlocked.Exchange(ref Ready(vcpu), 0);
        }

        return taken;
    }

    public void Dispose() => Guest.Dispose();
}
