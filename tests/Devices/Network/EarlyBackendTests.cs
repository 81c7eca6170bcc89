using System.Globalization;
using Dbt.Devices.Network;
using Dbt.Devices.Network.Tap;

namespace Dbt.Tests.Devices.Network;

/// <summary>What a card is plugged into, opened before the guest is there.</summary>
public sealed class EarlyBackendTests
{
    private const int Headers = 14 + 20 + 8, Before = 777, Behind = 888;

    [Fact]
    public void WhatIsOpenIsTakenOnceWithoutWhatCameBefore()
    {
        var opened = new List<FakeCable>();
        using (var early = EarlyBackend.Open(Card("tap:t", opened)))
        {
            Assert.Same(Assert.Single(opened), early.Card.Backend());
            Assert.Equal(1, opened[0].Discards);

            // The guest starts anew, or the card is attached again.
            Assert.Single(opened);
            Assert.Same(early.Card.Backend(), opened[1]);
            Assert.Equal(0, opened[1].Discards);
        }

        Assert.DoesNotContain(opened, static cable => cable.IsDisposed);
    }

    [Fact]
    public void WhatNobodyTakesIsClosed()
    {
        var opened = new List<FakeCable>();
        EarlyBackend.Open(Card("tap:t", opened)).Dispose();
        Assert.True(Assert.Single(opened).IsDisposed);
    }

    [Theory]
    [InlineData("tap:t", null, true)]
    [InlineData("tap:t", "driver", false)]
    [InlineData("user", null, false)]
    [InlineData("tapestry", null, false)]
    public void TapDevicesOfThisProcessAreOpened(string bridge, string? server, bool expected) =>
        Assert.Equal(expected, EarlyBackend.IsOf(Card(bridge, []) with { Server = server }));

    [RequiresTapFact]
    public void ATapDeviceForgetsWhatCameBefore()
    {
        using var space = new HostNamespace();
        using TapDevice tap = TapDevice.Open("dbttest%d");
        space.Take(tap.Name, "10.99.7.1/24");
        Broadcast(space, Before);
        tap.Discard();
        var guest = new FakeCable();
        tap.Connect(guest);
        Broadcast(space, Behind);
        NetDriver.Queue.Until(() => guest.Frames.Any(static frame => frame.Frame.Length == Headers + Behind), "nothing came");
        Assert.DoesNotContain(guest.Frames, static frame => frame.Frame.Length == Headers + Before);
    }

    private static void Broadcast(HostNamespace space, int bytes) =>
        space.Inside("ping", "-b", "-c", "1", "-W", "1", "-s", bytes.ToString(CultureInfo.InvariantCulture), "10.99.7.255");

    private static NetworkConfiguration Card(string bridge, List<FakeCable> opened) => new(0, TestFrames.A, () =>
    {
        opened.Add(new FakeCable());
        return opened[^1];
    })
    { Bridge = bridge };
}
