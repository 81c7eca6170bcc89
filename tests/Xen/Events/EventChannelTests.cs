using Dbt.Tests.Xen.Processor;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Events;

/// <summary>event_channel_op and the shared bits, with good and hostile arguments.</summary>
public sealed unsafe class EventChannelTests
{
    private const int EventChannelOp = 32;
    private const uint BindInterdomain = 0, BindVirq = 1, BindPirq = 2, Close = 3, Send = 4, Status = 5, AllocateUnbound = 6, BindIpi = 7,
        BindVcpu = 8, Unmask = 9, Reset = 10, ExpandArray = 12, SetPriority = 13;

    private static int Op(PvGuest guest, uint command, params uint[] words) => guest.Call(EventChannelOp, command, guest.Put(words));

    private static uint Pending(PvGuest guest, uint port) =>
        guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending + (port / 32 * 4)) >> (int)(port % 32) & 1;

    private static void Mask(PvGuest guest, uint port) =>
        guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventMask + (port / 32 * 4)) |= 1u << (int)(port % 32);

    private static uint Bind(PvGuest guest, uint command, int reply, params uint[] words)
    {
        Assert.Equal(0, Op(guest, command, words));
        return guest.Reply(reply);
    }

    [Fact]
    public void All_ports_but_0_can_be_used_and_then_no_more()
    {
        using var guest = new PvGuest();
        for (uint i = 1; i < TwoLevelEvents.Limit; i++)
        {
            Assert.Equal(i, Bind(guest, AllocateUnbound, 1, Layout.DomidSelf, 0));
        }

        Assert.Equal(-Errno.ENOSPC, Op(guest, AllocateUnbound, Layout.DomidSelf, 0));
        Assert.Equal(-Errno.ENOSPC, Op(guest, BindIpi, 0, 0));
        Assert.Equal(-Errno.ENOSPC, Op(guest, BindVirq, 0, 0, 0));
        Assert.False(guest.Domain.Events.TryAllocateForBackend(out _));
        Assert.Equal(0, Op(guest, Close, 500));
        Assert.Equal(500u, Bind(guest, BindIpi, 1, 0, 0));
    }

    [Fact]
    public void XSA_317_a_failed_bind_leaves_its_port_free()
    {
        using var guest = new PvGuest();
        for (int i = 0; i < 2000; i++)
        {
            Assert.Equal(-Errno.EINVAL, Op(guest, BindInterdomain, Layout.DomidSelf, 77, 0));
        }

        Assert.Equal(1u, Bind(guest, BindIpi, 1, 0, 0));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(1u)]
    [InlineData(1024u)]
    [InlineData(0xFFFFFFFFu)]
    public void XSA_342_ports_that_do_not_exist_are_refused(uint port)
    {
        using var guest = new PvGuest();
        Assert.Equal(-Errno.EINVAL, Op(guest, Close, port));
        Assert.Equal(-Errno.EINVAL, Op(guest, Send, port));
        Assert.Equal(-Errno.EINVAL, Op(guest, BindVcpu, port, 0));
        Assert.Equal(port == 1 ? 0 : -Errno.EINVAL, Op(guest, Unmask, port));
        Assert.Equal(port == 1 ? 0 : -Errno.EINVAL, Op(guest, Status, Layout.DomidSelf, port, 9, 9, 9, 9));
        Assert.Equal(-Errno.EINVAL, Op(guest, BindInterdomain, Layout.DomidSelf, port, 0));
    }

    [Fact]
    public void A_loopback_carries_events_both_ways()
    {
        using var guest = new PvGuest();
        uint one = Bind(guest, AllocateUnbound, 1, Layout.DomidSelf | ((uint)Layout.DomidSelf << 16), 0);
        uint two = Bind(guest, BindInterdomain, 2, Layout.DomidSelf, one, 0);
        Assert.Equal(1u, Pending(guest, two));
        Assert.Equal(0, Op(guest, Send, two));
        Assert.Equal(1u, Pending(guest, one));
        Assert.Equal(-Errno.EINVAL, Op(guest, BindInterdomain, Layout.DomidSelf, one, 0));
        Assert.Equal(0, Op(guest, Status, Layout.DomidSelf, one, 9, 9, 9, 9));
        Assert.Equal([2u, 0u, guest.Domain.Id, two], [guest.Reply(2), guest.Reply(3), guest.Reply(4), guest.Reply(5)]);
        Assert.Equal(0, Op(guest, Close, two));
        Assert.Equal(0u, Pending(guest, two));
        Assert.Equal(0, Op(guest, Status, Layout.DomidSelf, one, 9, 9, 9, 9));
        Assert.Equal(1u, guest.Reply(2));
        Assert.Equal(0, Op(guest, Send, one));
    }

    [Fact]
    public void Two_domains_connect_only_as_agreed()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        using var a = new PvGuest(1, hypervisor);
        using var b = new PvGuest(1, hypervisor);
        using var c = new PvGuest(1, hypervisor);
        uint port = Bind(a, AllocateUnbound, 1, Layout.DomidSelf | ((uint)b.Domain.Id << 16), 0);
        Assert.Equal(-Errno.EINVAL, Op(c, BindInterdomain, a.Domain.Id, port, 0));
        uint other = Bind(b, BindInterdomain, 2, a.Domain.Id, port, 0);
        Assert.Equal(0, Op(b, Send, other));
        Assert.Equal(1u, Pending(a, port));
        Assert.Equal(-Errno.ESRCH, Op(c, BindInterdomain, 99, port, 0));
        Assert.Equal(-Errno.EPERM, Op(c, AllocateUnbound, a.Domain.Id, 0));
        Assert.Equal(-Errno.EPERM, Op(c, Status, a.Domain.Id, port, 0, 0, 0, 0));
        Assert.Equal(-Errno.EPERM, Op(c, Reset, a.Domain.Id));
        b.Domain.Dispose();
        Assert.Equal(0, Op(a, Send, port));
        Assert.Equal(0, Op(a, Close, port));
    }

    [Fact]
    public void Virtual_irqs_bind_once_where_they_belong()
    {
        using var guest = new PvGuest(2);
        uint port = Bind(guest, BindVirq, 2, Virq.Timer, 1, 0);
        Assert.Equal(-Errno.EEXIST, Op(guest, BindVirq, Virq.Timer, 1, 0));
        Assert.Equal(-Errno.ENOENT, Op(guest, BindVirq, Virq.Timer, 2, 0));
        Assert.Equal(-Errno.EINVAL, Op(guest, BindVirq, Virq.Count, 0, 0));
        Assert.Equal(-Errno.EINVAL, Op(guest, BindVirq, 0xFFFFFFFF, 0, 0));
        Assert.Equal(-Errno.EINVAL, Op(guest, BindVirq, 2, 1, 0));
        Assert.Equal(-Errno.EINVAL, Op(guest, BindVcpu, port, 0));
        Assert.Equal(-Errno.EINVAL, Op(guest, Send, port));
        guest.Domain.Events.RaiseVirq(1, Virq.Timer);
        guest.Domain.Events.RaiseVirq(0, Virq.Timer);
        Assert.Equal(1u, Pending(guest, port));
        Assert.Equal(0, Op(guest, Close, port));
        Assert.Equal(port, Bind(guest, BindVirq, 2, Virq.Timer, 1, 0));
    }

    [Fact]
    public void What_is_not_offered_says_so()
    {
        using var guest = new PvGuest();
        uint port = Bind(guest, BindIpi, 1, 0, 0);
        Assert.Equal(-Errno.ENOSYS, Op(guest, SetPriority, port, 0));
        Assert.Equal(-Errno.EINVAL, Op(guest, SetPriority, port + 1, 0));
        Assert.Equal(-Errno.EOPNOTSUPP, Op(guest, ExpandArray, guest.Frames[0], 0));
        Assert.Equal(-Errno.ENOSYS, Op(guest, 99));
        Assert.Equal(-Errno.EPERM, Op(guest, BindPirq, 1, 0, 0));
        foreach (uint command in Enumerable.Range(0, 14).Select(i => (uint)i))
        {
            Assert.Equal(-Errno.EFAULT, guest.Call(EventChannelOp, command, PvGuest.Unmapped));
            Assert.Equal(-Errno.EFAULT, guest.Call(EventChannelOp, command, 0xFFFFFFFE));
            Assert.Equal(-Errno.EFAULT, guest.Call(EventChannelOp, command, Layout.HypervisorStart));
        }
    }

    [Fact]
    public void A_masked_port_is_pending_without_an_upcall_until_it_is_unmasked()
    {
        using var guest = new PvGuest();
        uint port = Bind(guest, BindIpi, 1, 0, 0);
        Mask(guest, port);
        Assert.Equal(0, Op(guest, Send, port));
        Assert.Equal(0, *guest.At(PvGuest.SharedInfo));
        Assert.Equal(0, Op(guest, Unmask, port));
        Assert.Equal(1, *guest.At(PvGuest.SharedInfo));
        Assert.Equal(1u << (int)(port / 32), guest.Word(PvGuest.SharedInfo + SharedInfoLayout.PendingSelector));
    }

    [Fact]
    public void A_backend_connects_to_its_own_ports_only()
    {
        using var guest = new PvGuest();
        Assert.True(guest.Domain.Events.TryAllocateForBackend(out uint port));
        uint mine = Bind(guest, AllocateUnbound, 1, Layout.DomidSelf | ((uint)Layout.DomidSelf << 16), 0);
        int signals = 0;
        Assert.False(guest.Domain.Events.TryConnectBackend(mine, () => signals++, out _));
        Assert.False(guest.Domain.Events.TryConnectBackend(0, () => signals++, out _));
        Assert.False(guest.Domain.Events.TryConnectBackend(uint.MaxValue, () => signals++, out _));
        Assert.Equal(0, signals);
        Assert.True(guest.Domain.Events.TryConnectBackend(port, () => signals++, out BackendChannel channel));
        Assert.Equal(1, signals);
        Assert.Equal(0, Op(guest, Send, port));
        Assert.Equal(2, signals);
        channel.Notify();
        Assert.Equal(1u, Pending(guest, port));
        Assert.Equal(0, Op(guest, Close, port));
        channel.Notify();
        Assert.Equal(0u, Pending(guest, port));
        Assert.Equal(port, Bind(guest, BindIpi, 1, 0, 0));
        channel.Dispose();
        Assert.Equal(0, Op(guest, Status, Layout.DomidSelf, port, 0, 0, 0, 0));
        Assert.Equal(5u, guest.Reply(2));
    }

    [Fact]
    public void A_backend_that_disconnects_leaves_the_port_waiting()
    {
        using var guest = new PvGuest();
        Assert.True(guest.Domain.Events.TryAllocateForBackend(out uint port));
        Assert.True(guest.Domain.Events.TryConnectBackend(port, () => { }, out BackendChannel channel));
        channel.Dispose();
        channel.Dispose();
        Assert.Equal(0, Op(guest, Send, port));
        Assert.True(guest.Domain.Events.TryConnectBackend(port, () => { }, out _));
    }

    [Fact]
    public void Reset_closes_everything()
    {
        using var guest = new PvGuest();
        Bind(guest, BindIpi, 1, 0, 0);
        Bind(guest, BindVirq, 2, Virq.Timer, 0, 0);
        uint one = Bind(guest, AllocateUnbound, 1, Layout.DomidSelf | ((uint)Layout.DomidSelf << 16), 0);
        Bind(guest, BindInterdomain, 2, Layout.DomidSelf, one, 0);
        Assert.Equal(0, Op(guest, Reset, Layout.DomidSelf));
        Assert.Equal(1u, Bind(guest, BindVirq, 2, Virq.Timer, 0, 0));
    }

    [Fact]
    public void The_older_hypercall_takes_command_and_structure_together()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, guest.Call(16, guest.Put(AllocateUnbound, Layout.DomidSelf, 0)));
        Assert.Equal(1u, guest.Reply(2));
        Assert.Equal(-Errno.EFAULT, guest.Call(16, PvGuest.Unmapped));
    }

    [Fact]
    public void XSA_327_a_vcpu_info_is_aligned_within_its_page_and_moved_once()
    {
        using var guest = new PvGuest(2);
        uint mfn = guest.MfnOf(PvGuest.Data);
        int Register(uint vcpu, uint frame, uint offset) => guest.Call(24, 10, vcpu, guest.Put(frame, 0, offset, 0));
        Assert.Equal(-Errno.ENXIO, Register(0, mfn, 4096 - 63));
        Assert.Equal(-Errno.ENXIO, Register(0, mfn, 2));
        Assert.Equal(-Errno.ENXIO, Register(0, mfn, 0xFFFFFFFC));
        Assert.Equal(-Errno.EINVAL, Register(0, guest.Root, 0));
        Assert.Equal(-Errno.EINVAL, Register(0, 0xFFFFFFFF, 0));
        Assert.Equal(-Errno.ENOENT, Register(2, mfn, 0));
        Assert.Equal(0, Register(0, mfn, 4096 - 64));
        Assert.Equal(-Errno.EINVAL, Register(0, mfn, 0));
        uint place = PvGuest.Data + 4096 - 64;
        Assert.Equal([1, 1], new ReadOnlySpan<byte>(guest.At(place), 2).ToArray());
        Assert.Equal(uint.MaxValue, guest.Word(place + SharedInfoLayout.PendingSelector));
        Assert.Equal(0, Register(1, mfn, 0));
        uint port = Bind(guest, BindIpi, 1, 0, 0);
        *guest.At(place) = 0;
        guest.Word(place + 4) = 0;
        Assert.Equal(0, Op(guest, Send, port));
        Assert.Equal(1, *guest.At(place));
    }

    [Fact]
    public void Block_returns_when_a_backend_notifies_and_takes_the_upcall()
    {
        using var guest = new PvGuest();
        Assert.True(guest.Domain.Events.TryAllocateForBackend(out uint port));
        BackendChannel? backend = null;
        bool armed = false;
        Assert.True(guest.Domain.Events.TryConnectBackend(port, () => { if (armed) { backend!.Notify(); } }, out backend));
        armed = true;
        guest.Call(4, Layout.FlatRing1Cs, PvGuest.Handlers, Layout.FlatRing1Cs, PvGuest.Handlers);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.mov(__byte_ptr[PvGuest.SharedInfo], 0);
            c.add(__dword_ptr[PvGuest.Data], 1);
            c.push(eax);
            c.mov(eax, 23);
            c.@int(0x82);
        });
        guest.Word(PvGuest.Arguments + 0x100) = port;
        guest.Run(c =>
        {
            PvGuest.Hypercall(c, EventChannelOp, Send, PvGuest.Arguments + 0x100);
            PvGuest.Hypercall(c, 29, 1);
            c.mov(__dword_ptr[PvGuest.Data + 4], eax);
            PvGuest.PowerOff(c);
        });
        Assert.Equal(1u, guest.Word(PvGuest.Data));
        Assert.Equal(0u, guest.Word(PvGuest.Data + 4));
    }
}
