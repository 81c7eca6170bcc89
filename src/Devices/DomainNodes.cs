using System.Globalization;
using Dbt.Devices.Store;
using Dbt.Xen;

namespace Dbt.Devices;

/// <summary>What the toolstack writes into xenstore for a domain: the nodes, values and permissions of xl.</summary>
internal static class DomainNodes
{
    /// <summary>Creates the domain's home and its <c>/vm</c> node.</summary>
    public static void Create(XenStore store, Domain domain)
    {
        string home = StorePath.Home(domain.Id);
        string vm = Vm(domain);
        string id = domain.Id.ToString(CultureInfo.InvariantCulture);
        StorePermission[] guestReads = [new(0, StoreAccess.None), new(domain.Id, StoreAccess.Read)];
        StorePermission[] guestOwns = [new(domain.Id, StoreAccess.None)];
        Make(store, home, guestReads);
        Make(store, vm, guestReads);
        Make(store, $"/libxl/{id}", [new StorePermission(0, StoreAccess.None)]);
        foreach (string directory in (string[])["cpu", "memory", "device", "control", "console", "store"])
        {
            Make(store, $"{home}/{directory}", guestReads);
        }

        foreach (string node in (string[])["control/shutdown", "control/feature-poweroff", "control/feature-reboot", "control/feature-suspend",
            "control/sysrq", "device/suspend/event-channel", "data", "drivers", "feature", "attr", "error"])
        {
            Make(store, $"{home}/{node}", guestOwns);
        }

        store.Write($"{vm}/uuid", domain.Uuid.ToString());
        store.Write($"{home}/vm", vm);
        WriteName(store, domain);
        store.Write($"{home}/domid", id);
        store.Write($"{home}/control/platform-feature-multiprocessor-suspend", "1");
        store.Write($"{home}/control/platform-feature-xs_reset_watches", "1");
        store.Write($"{home}/memory/target", Number(domain.ConfiguredKib.Target));
        store.Write($"{home}/memory/static-max", Number(domain.ConfiguredKib.Maximum));
        store.Write($"{home}/memory/videoram", "0");
        for (int cpu = 0; cpu < domain.Vcpus.Count; cpu++)
        {
            store.Write($"{home}/cpu/{cpu.ToString(CultureInfo.InvariantCulture)}/availability", "online");
        }

        store.Write($"{home}/store/port", Number(domain.StorePort));
        store.Write($"{home}/store/ring-ref", Number(domain.GuestFrameOf(domain.StoreMfn)));
        store.Write($"{home}/console/backend-id", "0");
        store.Write($"{home}/console/limit", "1048576");
        store.Write($"{home}/console/type", "xenconsoled");
        store.Write($"{home}/console/output", "pty");
        store.Write($"{home}/console/tty", "");
        store.Write($"{home}/console/port", Number(domain.ConsolePort));
        store.Write($"{home}/console/ring-ref", Number(domain.GuestFrameOf(domain.ConsoleMfn)));
    }

    /// <summary>The trees in which a domain's nodes are, in an order that never changes: saved states know them by it.</summary>
    public static IReadOnlyList<string> Trees(Domain domain)
    {
        string id = domain.Id.ToString(CultureInfo.InvariantCulture);
        return
        [
            StorePath.Home(domain.Id), Vm(domain), $"/libxl/{id}",
            $"/local/domain/0/backend/vbd/{id}", $"/local/domain/0/error/backend/vbd/{id}",
            $"/local/domain/0/backend/vif/{id}", $"/local/domain/0/error/backend/vif/{id}",
        ];
    }

    /// <summary>Corrects what is another one's in nodes that came from elsewhere: id, name, UUID.</summary>
    public static void Adopt(XenStore store, Domain domain)
    {
        string home = StorePath.Home(domain.Id);
        store.Write($"{Vm(domain)}/uuid", domain.Uuid.ToString());
        store.Write($"{home}/vm", Vm(domain));

        // Read by the guest alone, which is to find the id that it knows.
        store.Write($"{home}/domid", domain.GuestId.ToString(CultureInfo.InvariantCulture));
        WriteName(store, domain);
    }

    /// <summary>Writes the domain's name where it stands.</summary>
    public static void WriteName(XenStore store, Domain domain)
    {
        store.Write($"{Vm(domain)}/name", domain.Name);
        store.Write($"{StorePath.Home(domain.Id)}/name", domain.Name);
    }

    /// <summary>Gives the domain another UUID, and its <c>/vm</c> node with it.</summary>
    public static void ChangeUuid(XenStore store, Domain domain, Guid uuid)
    {
        store.Remove(Vm(domain));
        domain.Uuid = uuid;
        Make(store, Vm(domain), [new(0, StoreAccess.None), new(domain.Id, StoreAccess.Read)]);
        store.Write($"{Vm(domain)}/uuid", uuid.ToString());
        store.Write($"{StorePath.Home(domain.Id)}/vm", Vm(domain));
    }

    /// <summary>Removes everything of the domain.</summary>
    public static void Remove(XenStore store, Domain domain)
    {
        foreach (string tree in Trees(domain))
        {
            store.Remove(tree);
        }
    }

    private static string Vm(Domain domain) => "/vm/" + domain.Uuid.ToString();

    private static string Number(ulong value) => value.ToString(CultureInfo.InvariantCulture);

    private static void Make(XenStore store, string path, StorePermission[] permissions)
    {
        store.Mkdir(path);
        store.SetPermissions(path, permissions);
    }
}
