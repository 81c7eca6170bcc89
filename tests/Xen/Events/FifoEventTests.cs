using Dbt.Tests.Xen.Processor;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;

namespace Dbt.Tests.Xen.Events;

/// <summary>The FIFO ABI as public/event_channel.h has it, with a guest that keeps to it.</summary>
public sealed class FifoEventTests
{
    [Fact]
    public void TheAnswerHoldsTheWidthOfALink()
    {
        using var guest = new FifoGuest();
        Assert.True(guest.Events.IsFifo);
        using var fresh = new PvGuest();
        Assert.False(fresh.Domain.Events.IsFifo);
        Assert.Equal(0, fresh.Call(32, FifoGuest.InitControl, fresh.Put(fresh.MfnOf(PvGuest.Data), 0, 8, 0, 0xAABBCCDD, 0x11223344)));
        Assert.Equal([0xAABBCC11u, 0x11223344u], [fresh.Reply(4), fresh.Reply(5)]);
    }

    [Fact]
    public void Events_come_in_their_order_each_once_with_one_upcall()
    {
        using var guest = new FifoGuest();
        uint a = guest.Ipi(), b = guest.Ipi(), c = guest.Ipi();
        guest.Send(b);
        Assert.True(guest.TakeUpcall());
        guest.Send(a);
        guest.Send(c);
        guest.Send(b);
        Assert.False(guest.TakeUpcall());
        Assert.Equal(1u << FifoEvents.DefaultPriority, guest.Ready());
        Assert.Equal(b, guest.Head(FifoEvents.DefaultPriority));
        Assert.Equal(FifoEvents.PendingBit | FifoEvents.LinkedBit | a, guest.Word(b));
        Assert.Equal(FifoEvents.PendingBit | FifoEvents.LinkedBit, guest.Word(c));
        Assert.Equal([b, a, c], guest.TakeAll());
        Assert.Equal([], guest.TakeAll());
        guest.Send(c);
        Assert.True(guest.TakeUpcall());
        Assert.Equal([c], guest.TakeAll());
    }

    [Fact]
    public void The_more_urgent_queue_comes_first()
    {
        using var guest = new FifoGuest();
        uint low = guest.Ipi(), middle = guest.Ipi(), high = guest.Ipi();
        Assert.Equal(0, guest.Op(FifoGuest.SetPriority, low, 15));
        Assert.Equal(0, guest.Op(FifoGuest.SetPriority, high, 0));
        guest.Send(low);
        guest.Send(middle);
        guest.Send(high);
        Assert.Equal((1u << 15) | (1u << 7) | 1, guest.Ready());
        Assert.Equal([high, middle, low], guest.TakeAll());
        Assert.Equal(-Errno.EINVAL, guest.Op(FifoGuest.SetPriority, low, 16));
        Assert.Equal(-Errno.EINVAL, guest.Op(FifoGuest.SetPriority, 99, 1));
        Assert.Equal(-Errno.EINVAL, guest.Op(FifoGuest.SetPriority, 0xFFFFFFFF, 1));
    }

    [Fact]
    public void A_new_priority_counts_from_the_next_event_on()
    {
        using var guest = new FifoGuest();
        uint a = guest.Ipi(), b = guest.Ipi();
        guest.Send(a);
        Assert.Equal(0, guest.Op(FifoGuest.SetPriority, a, 2));
        Assert.Equal(1u << 7, guest.Ready());
        Assert.Equal([a], guest.TakeAll());

        // Its word was the tail of the first queue, and is on another now: nothing may be appended to it there.
        guest.Send(a);
        Assert.Equal(1u << 2, guest.Ready());
        guest.Send(b);
        Assert.Equal((1u << 2) | (1u << 7), guest.Ready());
        Assert.Equal(b, guest.Head(7));
        Assert.Equal(FifoEvents.PendingBit | FifoEvents.LinkedBit, guest.Word(a));
        Assert.Equal([a, b], guest.TakeAll());
    }

    [Fact]
    public void A_port_that_moves_goes_to_the_other_processors_queue()
    {
        using var guest = new FifoGuest(vcpus: 2);
        Assert.Equal(0, guest.Op(6, Layout.DomidSelf | ((uint)Layout.DomidSelf << 16), 0));
        uint port = guest.Guest.Reply(1);
        Assert.Equal(0, guest.Op(0, Layout.DomidSelf, port, 0));
        uint other = guest.Guest.Reply(2);
        guest.TakeAll();
        guest.Send(other);
        Assert.Equal([port], guest.TakeAll(0));
        Assert.Equal(0, guest.Op(8, port, 1));
        guest.Send(other);
        guest.Send(port);
        Assert.Equal([other], guest.TakeAll(0));
        Assert.True(guest.TakeUpcall(1));
        Assert.Equal([port], guest.TakeAll(1));
    }

    [Fact]
    public void A_masked_port_is_not_linked_until_it_is_unmasked()
    {
        using var guest = new FifoGuest();
        uint port = guest.Ipi();
        guest.Word(port) = FifoEvents.MaskedBit;
        guest.Send(port);
        Assert.Equal(FifoEvents.MaskedBit | FifoEvents.PendingBit, guest.Word(port));
        Assert.False(guest.TakeUpcall());
        Assert.Equal(0, guest.Op(9, port));
        Assert.True(guest.TakeUpcall());
        Assert.Equal([port], guest.TakeAll());
        Assert.Equal(0, guest.Op(9, port));
        Assert.False(guest.TakeUpcall());
    }

    [Fact]
    public void Events_before_their_words_come_with_them()
    {
        using var guest = new FifoGuest(pages: 0);
        uint port = guest.Ipi();
        guest.Send(port);
        Assert.False(guest.TakeUpcall());
        Assert.Equal(0, guest.Expand(guest.Guest.MfnOf(FifoGuest.Words)));
        Assert.True(guest.TakeUpcall());
        Assert.Equal([port], guest.TakeAll());
    }

    [Fact]
    public void What_waits_by_the_two_levels_waits_on()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, guest.Call(32, 7, guest.Put(0, 0)));
        uint port = guest.Reply(1);
        Assert.Equal(0, guest.Call(32, 4, guest.Put(port)));
        Assert.Equal(0, guest.Call(32, FifoGuest.InitControl, guest.Put(guest.MfnOf(FifoGuest.Blocks), 0, 0, 0, 0, 0)));
        Assert.Equal(0, guest.Call(32, FifoGuest.ExpandArray, guest.Put(guest.MfnOf(FifoGuest.Words), 0)));
        Assert.Equal(FifoEvents.PendingBit | FifoEvents.LinkedBit, guest.Word(FifoGuest.Words + (port * 4)));
        Assert.Equal(port, guest.Word(FifoGuest.Blocks + 8 + (7 * 4)));
    }

    [Fact]
    public void A_closed_port_that_is_still_on_a_queue_is_not_used_again()
    {
        using var guest = new FifoGuest();
        uint port = guest.Ipi();
        guest.Send(port);
        Assert.Equal(0, guest.Op(3, port));
        Assert.Equal(FifoEvents.LinkedBit, guest.Word(port));
        uint next = guest.Ipi();
        Assert.NotEqual(port, next);
        Assert.Equal([], guest.TakeAll());
        Assert.Equal(port, guest.Ipi());
    }

    [Fact]
    public void Poll_and_status_know_the_words()
    {
        using var guest = new FifoGuest();
        uint port = guest.Ipi();
        Assert.Equal(0, guest.Events.Poll(port));
        guest.Send(port);
        Assert.Equal(1, guest.Events.Poll(port));
        guest.TakeAll();
        Assert.Equal(0, guest.Events.Poll(port));
        Assert.Equal(0, guest.Op(5, Layout.DomidSelf, port, 9, 9, 9, 9));
        Assert.Equal(5u, guest.Guest.Reply(2));
        Assert.Contains("IPI", Assert.Single(guest.Events.DescribeAll()), StringComparison.Ordinal);
    }

    [Fact]
    public void There_are_as_many_ports_as_the_configuration_says()
    {
        const uint highest = 5000;
        using var guest = new FifoGuest(pages: 2);
        guest.Events.HighestPort = (int)highest;
        for (int i = 2; i < 5; i++)
        {
            Assert.Equal(0, guest.Expand(guest.Guest.MfnOf(FifoGuest.Words)));
        }

        for (uint port = 1; port <= highest; port++)
        {
            Assert.Equal(port, guest.Ipi());
        }

        Assert.Equal(-Errno.ENOSPC, guest.Op(7, 0, 0));
        guest.Send(highest);
        Assert.Equal(highest, guest.Head(7));
        Assert.Equal(0, guest.Op(3, 1500));
        Assert.Equal(1500u, guest.Ipi());
    }

    [Fact]
    public void The_limit_of_the_abi_is_the_last()
    {
        using var guest = new FifoGuest();
        guest.Events.HighestPort = EventChannels.MostHighestPort;
        for (int i = 1; i < FifoEvents.Limit / FifoEvents.WordsPerPage; i++)
        {
            Assert.Equal(0, guest.Expand(guest.Guest.MfnOf(FifoGuest.Words)));
        }

        Assert.Equal(-Errno.ENOSPC, guest.Expand(guest.Guest.MfnOf(FifoGuest.Words)));
        for (uint port = 1; port < FifoEvents.Limit; port++)
        {
            Assert.True(guest.Events.TryAllocateForBackend(out uint taken));
            Assert.Equal(port, taken);
        }

        Assert.False(guest.Events.TryAllocateForBackend(out _));
        Reset(guest);
        Assert.False(guest.Events.IsFifo);
        Assert.Equal(1u, guest.Ipi());
    }

    [Fact]
    public void Two_levels_have_no_more_ports_than_bits_whatever_the_configuration_says()
    {
        using var guest = new PvGuest();
        guest.Domain.Events.HighestPort = EventChannels.MostHighestPort;
        for (int i = 1; i < TwoLevelEvents.Limit; i++)
        {
            Assert.True(guest.Domain.Events.TryAllocateForBackend(out _));
        }

        Assert.False(guest.Domain.Events.TryAllocateForBackend(out _));
    }

    [Fact]
    public void A_reset_goes_back_to_two_levels_and_gives_the_pages_back()
    {
        using var guest = new FifoGuest(vcpus: 2, pages: 2);
        uint port = guest.Ipi();
        guest.Send(port);
        Assert.False(CanBecomeATable(guest.Guest, FifoGuest.Blocks));
        Assert.False(CanBecomeATable(guest.Guest, FifoGuest.Words + 0x1000));
        Reset(guest);
        Assert.False(guest.Events.IsFifo);
        Assert.True(CanBecomeATable(guest.Guest, FifoGuest.Blocks));
        Assert.True(CanBecomeATable(guest.Guest, FifoGuest.Words + 0x1000));
        Assert.Equal(-Errno.EOPNOTSUPP, guest.Expand(guest.Guest.MfnOf(FifoGuest.Words)));
        Assert.Equal(-Errno.ENOSYS, guest.Op(FifoGuest.SetPriority, guest.Ipi(), 1));
        guest.TakeUpcall();
        guest.Send(1);
        Assert.True(guest.TakeUpcall());
        Assert.Equal(2u, guest.Guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending));

        // And forth again.
        Assert.Equal(0, guest.Init(1));
        Assert.Equal(0, guest.Init(0));
        Assert.True(guest.Events.IsFifo);
    }

    [Fact]
    public void Two_domains_may_use_different_abis()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        using var fifo = new FifoGuest(hypervisor: hypervisor);
        using var plain = new PvGuest(1, hypervisor);
        Assert.Equal(0, fifo.Op(6, Layout.DomidSelf | ((uint)plain.Domain.Id << 16), 0));
        uint port = fifo.Guest.Reply(1);
        Assert.Equal(0, plain.Call(32, 0, plain.Put(fifo.Guest.Domain.Id, port, 0)));
        uint other = plain.Reply(2);
        Assert.Equal(0, plain.Call(32, 4, plain.Put(other)));
        Assert.Equal([port], fifo.TakeAll());
        plain.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending) = 0;
        fifo.Send(port);
        Assert.Equal(1u << (int)other, plain.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending));
        fifo.Guest.Domain.Dispose();
        Assert.Equal(0, plain.Call(32, 4, plain.Put(other)));
    }

    /// <summary>Resets, coming back where the call was interrupted.</summary>
    internal static int Reset(FifoGuest guest)
    {
        int calls = 1;
        while (guest.Op(10, Layout.DomidSelf) == 0 && guest.Guest.Vcpu.Continuation is not null)
        {
            guest.Guest.Vcpu.Continuation = null;
            calls++;
        }

        return calls;
    }

    /// <summary>Whether a page can be had as something that isn't writable, which it can't while we write to it.</summary>
    internal static unsafe bool CanBecomeATable(PvGuest guest, uint linear)
    {
        byte[] contents = new ReadOnlySpan<byte>(guest.At(linear), Layout.PageSize).ToArray();
        new Span<byte>(guest.At(linear), Layout.PageSize).Clear();
        // Its own mapping would count as a writable one.
        Assert.Equal(0, guest.Call(14, linear, 0, 0, 2));
        bool can = guest.Domain.Memory.TryGetPageAndType(guest.MfnOf(linear), Dbt.Xen.Memory.PageType.Descriptor);
        if (can)
        {
            guest.Domain.Memory.PutPageAndType(guest.MfnOf(linear));
        }

        ulong entry = ((ulong)guest.MfnOf(linear) << 12) | 7;
        Assert.Equal(0, guest.Call(14, linear, (uint)entry, (uint)(entry >> 32), 2));
        contents.CopyTo(new Span<byte>(guest.At(linear), Layout.PageSize));
        return can;
    }
}
