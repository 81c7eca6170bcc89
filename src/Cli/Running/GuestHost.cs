using Dbt.Cli.Control;
using Dbt.Devices.Store;
using Dbt.Xen;

namespace Dbt.Cli.Running;

/// <summary>What the guests of one process live on together: a machine and a xenstore. And which there are. Any thread.</summary>
/// <param name="machine">The machine, which it disposes of; null for a new one.</param>
internal sealed class GuestHost(Hypervisor? machine = null) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<Guest> _guests = [];

    /// <summary>The machine.</summary>
    public Hypervisor Machine { get; } = machine ?? new Hypervisor();

    /// <summary>The store.</summary>
    public XenStore Store { get; } = new();

    /// <summary>Files that guests are made from.</summary>
    public GuestFileCache Files { get; init; } = new();

    /// <summary>Code that was compiled for guests.</summary>
    public SharedCode Code { get; } = new();

    /// <summary>The id by which its domain is known outside, for a process with one guest; null where domains have the machine's.</summary>
    public uint? OnlyId { get; init; }

    /// <summary>Called when a guest was added or has gone.</summary>
    public Action? Changed { get; set; }

    /// <summary>The guests, in the order in which they were made.</summary>
    public IReadOnlyList<Guest> Guests
    {
        get
        {
            lock (_lock)
            {
                return [.. _guests];
            }
        }
    }

    /// <summary>Adds a guest.</summary>
    /// <exception cref="ControlException">Another has its name or its UUID.</exception>
    public void Add(Guest guest)
    {
        lock (_lock)
        {
            CheckName(guest.Name);
            if (_guests.Exists(other => other.Uuid == guest.Uuid))
            {
                throw new ControlException(ControlError.Exists, $"a domain with the UUID {guest.Uuid} exists already");
            }

            _guests.Add(guest);
        }

        Changed?.Invoke();
    }

    /// <summary>Takes a guest away that has ended.</summary>
    public void Remove(Guest guest)
    {
        lock (_lock)
        {
            _guests.Remove(guest);
        }

        Changed?.Invoke();
    }

    /// <summary>Does something under the lock that keeps names unique.</summary>
    /// <param name="name">A name that nobody may have.</param>
    /// <param name="change">Gives it to a guest.</param>
    /// <exception cref="ControlException">Somebody has it.</exception>
    public void TakeName(string name, Action change)
    {
        lock (_lock)
        {
            CheckName(name);
            change();
        }
    }

    /// <summary>A name like one, that nobody has.</summary>
    public string FreeName(string name)
    {
        lock (_lock)
        {
            string free = name;
            for (int i = 2; _guests.Exists(guest => guest.Name == free); i++)
            {
                free = FormattableString.Invariant($"{name}-{i}");
            }

            return free;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Machine.Dispose();

    private void CheckName(string name)
    {
        if (_guests.Exists(guest => guest.Name == name))
        {
            throw new ControlException(ControlError.Exists, $"Domain with name \"{name}\" already exists.");
        }
    }
}
