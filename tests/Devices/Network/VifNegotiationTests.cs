using Dbt.Devices.Network;

namespace Dbt.Tests.Devices.Network;

/// <summary>The card's handshake through xenstore: what it offers, connects, refuses, and how it closes.</summary>
public sealed class VifNegotiationTests
{
    [Fact]
    public void ItOffersWhatNetifHas()
    {
        using var driver = new NetDriver(new NetworkRate(1_000_000, TimeSpan.FromMilliseconds(50)));
        foreach ((string node, string value) in (ReadOnlySpan<(string, string)>)[
            ("frontend", "/local/domain/1/device/vif/0"), ("frontend-id", "1"), ("online", "1"), ("handle", "0"), ("mac", "00:16:3e:00:00:0a"),
            ("bridge", "test"), ("mtu", "1500"), ("type", "vif"), ("rate", "1000000,50000"), ("feature-rx-copy", "1"), ("feature-rx-flip", "0"),
            ("feature-sg", "1"), ("feature-gso-tcpv4", "1"), ("feature-gso-tcpv6", "1"), ("feature-ipv6-csum-offload", "1"),
            ("feature-split-event-channels", "1"), ("feature-multicast-control", "1"), ("feature-dynamic-multicast-control", "1"),
            ("feature-ctrl-ring", "1"), ("multi-queue-max-queues", "4"), ("state", "2")])
        {
            Assert.Equal(value, driver.Guest.Read($"{NetDriver.Back}/{node}"));
        }

        foreach ((string node, string value) in (ReadOnlySpan<(string, string)>)[
            ("backend", NetDriver.Back), ("backend-id", "0"), ("handle", "0"), ("mac", "00:16:3e:00:00:0a"), ("mtu", "1500"), ("state", "1")])
        {
            Assert.Equal(value, driver.Guest.Read($"{NetDriver.Front}/{node}"));
        }

        Assert.Equal("!EACCES", driver.Guest.Write(NetDriver.Back + "/state", "6"));
    }

    [Fact]
    public void ItConnectsAndClosesAndConnectsAnew()
    {
        using var driver = new NetDriver();
        for (int i = 0; i < 3; i++)
        {
            driver.Connect(split: i == 1);
            Assert.Equal("4", driver.State);
            Assert.Equal(2, driver.Frontend.Mapped);
            Assert.Equal(i == 1 ? 2 : 1, driver.Frontend.Signals.Count);
            driver.Guest.Write(NetDriver.Front + "/state", "5");
            Assert.Equal("5", driver.State);
            Assert.Equal(0, driver.Frontend.Mapped);
            driver.Guest.Write(NetDriver.Front + "/state", "6");
            Assert.Equal("6", driver.State);
            driver.Guest.Write(NetDriver.Front + "/state", "1");
            Assert.Equal("2", driver.State);
            foreach (string node in (string[])["event-channel", "event-channel-tx", "event-channel-rx"])
            {
                driver.Guest.Remove($"{NetDriver.Front}/{node}");
            }
        }
    }

    [Fact]
    public void DisposedItLeavesNothing()
    {
        var driver = new NetDriver();
        driver.Connect();
        driver.Dispose();
        Assert.False(driver.Store.Exists(NetDriver.Back));
        Assert.False(driver.Store.Exists("/local/domain/1/" + NetDriver.Front));
    }

    [Fact]
    public void FeaturesAreTheFrontends()
    {
        using var driver = new NetDriver();
        Assert.Equal(new LinkFeatures(true, true, true), driver.Backend.Features); // nobody is there: all is dropped
        driver.Connect(features: false);
        Assert.Equal(default, driver.Backend.Features);
        driver.Guest.Write(NetDriver.Front + "/state", "1");
        driver.Connect();
        Assert.Equal(new LinkFeatures(true, true, true), driver.Backend.Features);
        driver.Guest.Write(NetDriver.Front + "/state", "1");
        driver.Guest.Write(NetDriver.Front + "/feature-no-csum-offload", "1");
        driver.Guest.Write(NetDriver.Front + "/feature-gso-tcpv6", "0");
        driver.Guest.Write(NetDriver.Front + "/state", "4");
        Assert.Equal(new LinkFeatures(false, true, false), driver.Backend.Features);
    }

    [Theory]
    [InlineData("request-rx-copy", "0", "request-rx-copy")]
    [InlineData("multi-queue-num-queues", "0", "queues")]
    [InlineData("multi-queue-num-queues", "5", "queues")]
    [InlineData("multi-queue-num-queues", "4294967297", "queues")]
    [InlineData("multi-queue-num-queues", "2", "queue 0")]
    [InlineData("tx-ring-ref", "zero", "queue 0")]
    [InlineData("rx-ring-ref", "-1", "queue 0")]
    [InlineData("rx-ring-ref", "77777", "can't be mapped")]
    [InlineData("event-channel", "77777", "event channel 77777")]
    [InlineData("event-channel", "", "queue 0")]
    [InlineData("ctrl-ring-ref", "100", "control ring")]
    public void WhatTheFrontendSaysIsChecked(string node, string value, string why)
    {
        using var driver = new NetDriver();
        driver.Connect();
        driver.Guest.Write(NetDriver.Front + "/state", "1");
        Assert.Equal("2", driver.State);
        driver.Guest.Write($"{NetDriver.Front}/{node}", value);
        driver.Guest.Write(NetDriver.Front + "/state", "4");
        Assert.Contains(why, driver.WaitClosed(), StringComparison.Ordinal);
        Assert.Contains(driver.Frontend.Log.Lines, line => line.StartsWith("vif 0: ", StringComparison.Ordinal) && line.Contains(why, StringComparison.Ordinal));
    }

    [Fact]
    public void QueuesThatAreNotThereConnectNone()
    {
        using var driver = new NetDriver();
        driver.Connect(queues: 3);
        Assert.Equal("4", driver.State);
        Assert.Equal(6, driver.Frontend.Mapped);
        driver.Guest.Write(NetDriver.Front + "/state", "1");
        driver.Guest.Write(NetDriver.Front + "/multi-queue-num-queues", "4");
        driver.Guest.Write(NetDriver.Front + "/state", "4");
        Assert.Contains("queue 3", driver.WaitClosed(), StringComparison.Ordinal);
    }

    [Fact]
    public void AGuestIsAskedToLetGo()
    {
        using var driver = new NetDriver();
        driver.Connect();
        driver.Backend.BeginDetach();
        Assert.Equal("0", driver.Guest.Read(NetDriver.Back + "/online"));
        Assert.Equal("5", driver.State);

        // It is served until it has closed.
        Assert.Equal(2, driver.Frontend.Mapped);
        driver.Guest.Write(NetDriver.Front + "/state", "5");
        Assert.False(driver.Backend.Released.IsCompleted);
        driver.Guest.Write(NetDriver.Front + "/state", "6");
        Assert.Equal("6", driver.State);
        Assert.True(driver.Backend.Released.IsCompleted);

        // And doesn't get it back.
        driver.Guest.Write(NetDriver.Front + "/state", "1");
        Assert.Equal("6", driver.State);
    }

    [Fact]
    public void ItTellsOfItself()
    {
        using var driver = new NetDriver();
        Assert.Equal((2, null, null), (driver.Backend.Status.State, driver.Backend.Status.EventChannel, driver.Backend.Status.TransmitRing));
        driver.Connect();
        NetworkStatus status = driver.Backend.Status;
        Assert.Equal((4, driver.Queues[0].Port, NetDriver.Back), (status.State, status.EventChannel, status.BackendPath));
        Assert.NotNull(status.ReceiveRing);
    }
}
