using Dbt.Tests.Xen.Processor;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;
using Dbt.Xen.Hypercalls;

namespace Dbt.Tests.Xen.Events;

/// <summary>Xen's advisories on event channels of the two-level kind that <see cref="EventChannelTests"/> doesn't have.</summary>
public sealed unsafe class EventAdvisoryTests
{
    private const int EventChannelOp = 32;
    private const uint BindInterdomain = 0, Close = 3, Send = 4, AllocateUnbound = 6, BindIpi = 7, Reset = 10;

    [Fact]
    public void XSA_343_a_reset_that_races_with_those_who_connect_and_send_leaves_no_half_connection()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        using var guest = new PvGuest(hypervisor: hypervisor);
        using var other = new PvGuest(hypervisor: hypervisor);
        bool done = false;
        var sender = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                Op(other, AllocateUnbound, 0x7FF0, guest.Domain.Id);
                uint port = other.Reply(1);
                Op(other, Send, port);
                Op(other, Close, port);
            }
        });
        sender.Start();
        for (uint i = 0; i < 3000; i++)
        {
            _ = Op(guest, BindInterdomain, other.Domain.Id, 1 + (i % 4), 0);
            _ = Op(guest, BindIpi, 0);
            _ = Op(guest, Send, 1 + (i % 8));
            if (i % 5 == 0)
            {
                Assert.Equal(0, Op(guest, Reset, 0x7FF0));
            }
        }

        Volatile.Write(ref done, true);
        Assert.True(sender.Join(TimeSpan.FromSeconds(60)));
        Assert.Equal(0, Op(guest, Reset, 0x7FF0));
        Assert.Equal(0, Op(other, Reset, 0x7FF0));

        // Both ends are free from the first port on.
        Assert.Equal(0, Op(guest, BindIpi, 0));
        Assert.Equal(1u, guest.Reply(1));
        Assert.Equal(0, Op(other, BindIpi, 0));
        Assert.Equal(1u, other.Reply(1));
    }

    [Fact]
    public void XSA_344_a_reset_of_all_ports_comes_to_its_end_while_others_send()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        using var guest = new PvGuest(hypervisor: hypervisor);
        var channels = new List<BackendChannel>();
        for (int i = 1; i < SharedEventBits.Ports; i++)
        {
            Assert.True(guest.Domain.Events.TryAllocateForBackend(out uint port));
            Assert.True(guest.Domain.Events.TryConnectBackend(port, static () => { }, out BackendChannel channel));
            channels.Add(channel);
        }

        bool done = false;
        var sender = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                channels.ForEach(static channel => channel.Notify());
            }
        });
        sender.Start();
        int result;
        do
        {
            result = Op(guest, Reset, 0x7FF0);
        }
        while (guest.Vcpu.Continuation is not null);
        Volatile.Write(ref done, true);
        Assert.True(sender.Join(TimeSpan.FromSeconds(60)));
        Assert.Equal(0, result);
        for (uint port = 1; port < SharedEventBits.Ports; port++)
        {
            Assert.NotEqual(0, Op(guest, Send, port));
        }

        channels.ForEach(static channel => channel.Dispose());
    }

    private static int Op(PvGuest guest, uint command, params uint[] words)
    {
        guest.Vcpu.Continuation = null;
        return HypercallDispatch.Call(guest.Vcpu, EventChannelOp, new HypercallArguments(command, guest.Put(words), 0, 0, 0, 0));
    }
}
