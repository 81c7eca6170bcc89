using System.Globalization;
using Dbt.Devices.Store;

namespace Dbt.Devices.Network.Frontend;

/// <summary>A card's nodes in xenstore: what xl and Xen's back end write there.</summary>
internal sealed class VifNodes
{
    private readonly XenStore _store;
    private readonly ushort _domain;
    private readonly NetworkConfiguration _card;

    public VifNodes(XenStore store, ushort domain, NetworkConfiguration card)
    {
        _store = store;
        _domain = domain;
        _card = card;
        string id = Number(domain);
        Front = $"/local/domain/{id}/device/vif/{Number(card.Handle)}";
        Back = $"/local/domain/0/backend/vif/{id}/{Number(card.Handle)}";
    }

    /// <summary>The frontend's folder.</summary>
    public string Front { get; }

    /// <summary>The back end's folder.</summary>
    public string Back { get; }

    /// <summary>The back end's state.</summary>
    public XenbusState State { get; private set; } = XenbusState.Initialising;

    /// <summary>Writes all nodes; the guest sees the device then.</summary>
    public void Publish(int maxQueues)
    {
        var guest = new StorePermission(_domain, StoreAccess.None);
        var guestReads = new StorePermission(_domain, StoreAccess.Read);
        _store.Mkdir(Back);
        _store.SetPermissions(Back, new StorePermission(0, StoreAccess.None), guestReads);
        Write("frontend", Front);
        Write("frontend-id", Number(_domain));
        Write("online", "1");
        Write("handle", Number(_card.Handle));
        Write("mac", _card.Mac.ToString());
        Write("bridge", _card.Bridge);
        Write("mtu", Number((uint)_card.Mtu));
        Write("type", "vif");
        if (_card.Rate is { } rate)
        {
            Write("rate", rate.ToString());
        }

        foreach (string feature in (string[])["feature-rx-copy", "feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6",
            "feature-ipv6-csum-offload", "feature-split-event-channels", "feature-multicast-control", "feature-dynamic-multicast-control",
            "feature-ctrl-ring"])
        {
            Write(feature, "1");
        }

        Write("feature-rx-flip", "0");
        Write("multi-queue-max-queues", Number((uint)maxQueues));
        Write("hotplug-status", "connected");
        SetState(XenbusState.InitWait);

        _store.Mkdir(Front);
        _store.SetPermissions(Front, guest, new StorePermission(0, StoreAccess.Read));
        _store.Write(Front + "/backend", Back);
        _store.Write(Front + "/backend-id", "0");
        _store.Write(Front + "/handle", Number(_card.Handle));
        _store.Write(Front + "/mac", _card.Mac.ToString());
        _store.Write(Front + "/mtu", Number((uint)_card.Mtu));
        _store.Write(Front + "/state", "1");
    }

    /// <summary>Goes to a state.</summary>
    public void SetState(XenbusState state)
    {
        if (State != state)
        {
            State = state;
            Write("state", Number((uint)state));
        }
    }

    /// <summary>The nodes are there, and say this.</summary>
    public void Adopt(XenbusState state) => State = state;

    /// <summary>Says that the card is to go, before the state does.</summary>
    public void SetOffline() => Write("online", "0");

    /// <summary>Says why the device was closed, where Xen's back ends say it.</summary>
    public void WriteError(string why) => _store.Write($"/local/domain/0/error{Back["/local/domain/0".Length..]}/error", why);

    /// <summary>Removes both folders.</summary>
    public void Remove()
    {
        _store.Remove(Back);
        _store.Remove(Front);
    }

    private void Write(string node, string value) => _store.Write($"{Back}/{node}", value);

    private static string Number(uint value) => value.ToString(CultureInfo.InvariantCulture);
}
