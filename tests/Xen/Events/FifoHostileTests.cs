using Dbt.Tests.Xen.Processor;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;

namespace Dbt.Tests.Xen.Events;

/// <summary>The FIFO ABI with guests that keep to nothing, and from several threads at a time.</summary>
public sealed unsafe class FifoHostileTests
{
    private const uint Canary = 0xC0FFEE00;

    [Fact]
    public void XSA_107_events_of_a_processor_without_a_control_block_are_dropped()
    {
        using var guest = new FifoGuest(vcpus: 1);
        using var two = new PvGuest(2);
        Assert.Equal(0, two.Call(32, FifoGuest.InitControl, two.Put(two.MfnOf(FifoGuest.Blocks), 0, 0, 0, 0, 0)));
        Assert.Equal(0, two.Call(32, FifoGuest.ExpandArray, two.Put(two.MfnOf(FifoGuest.Words), 0)));
        Assert.Equal(0, two.Call(32, 7, two.Put(1, 0)));
        uint port = two.Reply(1);
        Assert.Equal(0, two.Call(32, 4, two.Put(port)));
        Assert.Equal(0, two.Call(32, 9, two.Put(port)));
        Assert.Equal(FifoEvents.PendingBit, two.Word(FifoGuest.Words + (port * 4)));
        Assert.Equal(0, *two.At(PvGuest.SharedInfo + SharedInfoLayout.VcpuInfoSize));

        // Once it has one, it is told like any other.
        Assert.Equal(0, two.Call(32, FifoGuest.InitControl, two.Put(two.MfnOf(FifoGuest.Blocks), 0, 0x100, 1, 0, 0)));
        Assert.Equal(0, two.Call(32, 9, two.Put(port)));
        Assert.Equal(port, two.Word(FifoGuest.Blocks + 0x100 + 8 + (7 * 4)));
        Assert.Equal(1, *two.At(PvGuest.SharedInfo + SharedInfoLayout.VcpuInfoSize));
    }

    [Fact]
    public void XSA_188_a_refused_control_block_changes_nothing_and_keeps_nothing()
    {
        using var guest = new PvGuest(2);
        uint good = guest.MfnOf(FifoGuest.Blocks);
        int Init(ulong frame, uint offset, uint vcpu) => guest.Call(32, FifoGuest.InitControl, guest.Put((uint)frame, (uint)(frame >> 32), offset, vcpu, 0, 0));
        Assert.Equal(-Errno.ENOENT, Init(good, 0, 2));
        Assert.Equal(-Errno.ENOENT, Init(good, 0, uint.MaxValue));
        Assert.Equal(-Errno.EINVAL, Init(good, 4096 - 64, 0));
        Assert.Equal(-Errno.EINVAL, Init(good, 4, 0));
        Assert.Equal(-Errno.EINVAL, Init(good, 0xFFFFFFF8, 0));
        Assert.Equal(-Errno.EINVAL, Init(guest.Root, 0, 0));
        Assert.Equal(-Errno.EINVAL, Init(0xFFFFFFFF, 0, 0));
        Assert.Equal(-Errno.EINVAL, Init(good | (1UL << 32), 0, 0));
        Assert.Equal(-Errno.EFAULT, guest.Call(32, FifoGuest.InitControl, PvGuest.Unmapped));
        Assert.Equal(-Errno.EOPNOTSUPP, guest.Call(32, FifoGuest.ExpandArray, guest.Put(good, 0)));
        Assert.False(guest.Domain.Events.IsFifo);
        Assert.True(FifoEventTests.CanBecomeATable(guest, FifoGuest.Blocks));
        Assert.Equal(0, guest.Call(32, 7, guest.Put(0, 0)));
        Assert.Equal(0, guest.Call(32, 4, guest.Put(guest.Reply(1))));
        Assert.NotEqual(0u, guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending));

        Assert.Equal(0, Init(good, 4096 - 72, 0));
        Assert.Equal(-Errno.EINVAL, Init(good, 0, 0));
        Assert.Equal(-Errno.EINVAL, guest.Call(32, FifoGuest.ExpandArray, guest.Put(guest.Root, 0)));
        Assert.Equal(-Errno.EINVAL, guest.Call(32, FifoGuest.ExpandArray, guest.Put(good, 1)));
        Assert.Equal(-Errno.EFAULT, guest.Call(32, FifoGuest.ExpandArray, PvGuest.Unmapped));
    }

    [Fact]
    public void XSA_188_pages_that_the_guest_gives_away_stay_until_the_end()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        long before = hypervisor.Machine.FreeFrames;
        using (var guest = new FifoGuest(hypervisor: hypervisor))
        {
            uint port = guest.Ipi(), words = guest.Guest.MfnOf(FifoGuest.Words);
            uint* word = (uint*)hypervisor.Machine.Frame(words) + port;
            Assert.Equal(0, guest.Guest.Call(14, FifoGuest.Words, 0, 0, 2));
            guest.Guest.Word(PvGuest.Arguments + 0x100) = words;
            Assert.Equal(1, guest.Guest.Call(12, 1, guest.Guest.Put(PvGuest.Arguments + 0x100, 1, 0, 0, Layout.DomidSelf)));
            Assert.False(guest.Guest.Domain.Memory.TryGetPageAndType(words, Dbt.Xen.Memory.PageType.L1));
            guest.Send(port);
            Assert.Equal(FifoEvents.PendingBit | FifoEvents.LinkedBit, *word);
            guest.Guest.Domain.Dispose();
        }

        Assert.Equal(before, hypervisor.Machine.FreeFrames);
    }

    [Fact]
    public void Links_that_lead_anywhere_are_never_followed()
    {
        using var guest = new FifoGuest();
        uint a = guest.Ipi(), b = guest.Ipi(), c = guest.Ipi();
        foreach (uint link in (uint[])[0, a, b, 1023, 1024, FifoEvents.LinkMask])
        {
            guest.Send(a);
            guest.Word(a) = FifoEvents.LinkedBit | FifoEvents.PendingBit | link;
            guest.Word(b) = link;
            guest.Send(b);
            Assert.Equal(FifoEvents.LinkedBit | FifoEvents.PendingBit | b, guest.Word(a));
            Assert.Equal(FifoEvents.LinkedBit | FifoEvents.PendingBit | link, guest.Word(b));
            guest.Send(c);
            Assert.Equal(FifoEvents.LinkedBit | FifoEvents.PendingBit | c, guest.Word(b));
            foreach (uint port in (uint[])[a, b, c])
            {
                guest.Word(port) = 0;
            }

            guest.Ready() = 0;
        }
    }

    [Fact]
    public void XSA_344_a_reset_of_many_ports_is_interrupted_and_goes_on()
    {
        const int ports = 3000;
        using var guest = new FifoGuest();
        guest.Events.HighestPort = EventChannels.MostHighestPort;
        for (int i = 0; i < ports; i++)
        {
            guest.Ipi();
        }

        guest.Guest.Cpu->Attention = 1;
        Assert.InRange(FifoEventTests.Reset(guest), (ports / 256) + 1, 20);
        guest.Guest.Cpu->Attention = 0;
        Assert.False(guest.Events.IsFifo);
        Assert.Empty(guest.Events.DescribeAll());

        // By the older hypercall, whose arguments lie elsewhere.
        guest.Ipi();
        guest.Guest.Cpu->Attention = 1;
        int calls = 0;
        do
        {
            guest.Guest.Vcpu.Continuation = null;
            Assert.Equal(0, guest.Guest.Call(16, guest.Guest.Put(10, Layout.DomidSelf)));
            calls++;
        }
        while (guest.Guest.Vcpu.Continuation is { } again && again.A1 == PvGuest.Arguments);
        Assert.InRange(calls, 4, 6);
        Assert.Empty(guest.Events.DescribeAll());
    }

    [Fact]
    public void XSA_343_ports_that_are_bound_during_a_reset_are_told_of()
    {
        using var guest = new FifoGuest();
        guest.Ipi();
        guest.Guest.Cpu->Attention = 1;
        Assert.Equal(0, guest.Op(10, Layout.DomidSelf));
        Assert.NotNull(guest.Guest.Vcpu.Continuation);
        guest.Guest.Vcpu.Continuation = null;
        guest.Ipi();
        guest.Guest.Cpu->Attention = 0;
        Assert.Equal(-Errno.EAGAIN, guest.Op(10, Layout.DomidSelf));
        Assert.True(guest.Events.IsFifo);
        Assert.Equal(0, guest.Op(10, Layout.DomidSelf));
        Assert.False(guest.Events.IsFifo);
    }

    [Fact]
    public void XSA_358_359_words_that_come_while_events_are_sent_lose_none()
    {
        const uint last = 4095;
        using var guest = new FifoGuest(pages: 1);
        guest.Events.HighestPort = (int)last;
        for (uint port = 1; port <= last; port++)
        {
            Assert.True(guest.Events.TryAllocateForBackend(out _));
        }

        var ends = new List<BackendChannel>();
        for (uint port = 1; port <= last; port++)
        {
            Assert.True(guest.Events.TryConnectBackend(port, () => { }, out BackendChannel end));
            ends.Add(end);
        }

        var sender = new Thread(() => ends.ForEach(end => end.Notify()));
        sender.Start();
        Assert.Equal(0, guest.Expand(guest.Guest.MfnOf(FifoGuest.Words + 0x1000)));
        Assert.Equal(0, guest.Expand(guest.Guest.MfnOf(FifoGuest.Words + 0x2000)));
        Assert.Equal(0, guest.Expand(guest.Guest.MfnOf(PvGuest.Data)));
        sender.Join();
        Assert.True(guest.TakeUpcall());
        Assert.Equal(Enumerable.Range(1, (int)last).Select(i => (uint)i), guest.TakeAll().Order());
    }

    [Fact]
    public void No_event_is_lost_between_senders_and_a_guest_that_takes_and_masks()
    {
        const int ports = 40, rounds = 20_000;
        using var guest = new FifoGuest(vcpus: 2);
        var ends = new List<BackendChannel>();
        for (int i = 0; i < ports; i++)
        {
            Assert.True(guest.Events.TryAllocateForBackend(out uint port));
            Assert.True(guest.Events.TryConnectBackend(port, () => { }, out BackendChannel end));
            ends.Add(end);
            Assert.Equal(0, guest.Events.SetPriority(port, (uint)i % FifoEvents.Queues));
            Assert.Equal(0, guest.Events.BindVcpu(port, (uint)i & 1));
        }

        int running = 2;
        var senders = Enumerable.Range(0, 2).Select(seed => new Thread(() =>
        {
            var random = new Random(seed);
            for (int i = 0; i < rounds; i++)
            {
                ends[random.Next(ports)].Notify();
                if (i % 64 == 0)
                {
                    uint port = ends[random.Next(ports)].Port;
                    guest.Events.SetPriority(port, (uint)random.Next(FifoEvents.Queues));
                    guest.Events.BindVcpu(port, (uint)random.Next(2));
                }
            }

            Interlocked.Decrement(ref running);
        })).ToList();
        senders.ForEach(thread => thread.Start());
        var mask = new Random(7);
        long taken = 0;
        while (Volatile.Read(ref running) > 0)
        {
            for (int vcpu = 0; vcpu < 2; vcpu++)
            {
                if (guest.TakeUpcall(vcpu))
                {
                    taken += guest.TakeAll(vcpu).Count;
                }
            }

            uint port = ends[mask.Next(ports)].Port;
            Interlocked.Or(ref guest.Word(port), FifoEvents.MaskedBit);
            Assert.Equal(0, guest.Events.Unmask(port));
        }

        senders.ForEach(thread => thread.Join());
        for (int vcpu = 0; vcpu < 2; vcpu++)
        {
            // What is left was told of.
            bool told = guest.TakeUpcall(vcpu);
            List<uint> rest = guest.TakeAll(vcpu);
            Assert.True(told || rest.Count == 0);
            taken += rest.Count;
        }

        Assert.InRange(taken, ports, 2L * rounds);
        Assert.All(ends, end => Assert.Equal(0u, guest.Word(end.Port)));
        Assert.DoesNotContain("again and again", string.Join('\n', guest.Guest.Domain.Log.Lines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void XSA_295_words_that_others_rewrite_meanwhile_hold_nobody_up_and_nothing_else_is_written(int seed)
    {
        const int ports = 64, rounds = 30_000;
        using var guest = new FifoGuest(vcpus: 2);
        foreach (uint page in (uint[])[PvGuest.Data, PvGuest.User, PvGuest.Handlers])
        {
            new Span<uint>(guest.Guest.At(page), 1024).Fill(Canary + page);
        }

        for (int i = 0; i < ports; i++)
        {
            guest.Ipi((uint)i & 1);
        }

        bool stop = false;
        var rewriter = new Thread(() =>
        {
            var random = new Random(seed);
            while (!Volatile.Read(ref stop))
            {
                uint bits = (uint)random.NextInt64(1L << 32);
                guest.Word((uint)random.Next(ports + 2)) = random.Next(3) == 0 ? bits : FifoEvents.LinkedBit | (bits & 0xD0000000);
                guest.Head(random.Next(FifoEvents.Queues), random.Next(2)) = bits;
                guest.Ready(random.Next(2)) = bits;
            }
        });
        rewriter.Start();
        var results = new HashSet<int>();
        var random = new Random(seed + 100);
        for (int i = 0; i < rounds; i++)
        {
            uint port = (uint)random.Next(1, ports + 1);
            results.Add(random.Next(6) switch
            {
                0 => guest.Events.Unmask(port),
                1 => guest.Events.SetPriority(port, (uint)random.Next(20)),
                2 => guest.Events.Close(port),
                3 => guest.Events.BindIpi((uint)random.Next(2), out _),
                _ => guest.Events.Send(port),
            });
        }

        Volatile.Write(ref stop, true);
        rewriter.Join();
        Assert.Subset(new HashSet<int> { 0, -Errno.EINVAL, -Errno.ENOSPC }, results);
        foreach (uint page in (uint[])[PvGuest.Data, PvGuest.User, PvGuest.Handlers])
        {
            Assert.Equal(-1, new Span<uint>(guest.Guest.At(page), 1024).IndexOfAnyExcept(Canary + page));
        }

        // And a guest that tidies up after itself has it as before.
        FifoEventTests.Reset(guest);
        new Span<byte>(guest.Guest.At(FifoGuest.Words), Layout.PageSize).Clear();
        new Span<byte>(guest.Guest.At(FifoGuest.Blocks), Layout.PageSize).Clear();
        Assert.Equal(0, guest.Init(0));
        Assert.Equal(0, guest.Expand(guest.Guest.MfnOf(FifoGuest.Words)));
        uint again = guest.Ipi();
        guest.Send(again);
        Assert.Equal([again], guest.TakeAll());
    }
}
