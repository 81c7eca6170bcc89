using Dbt.Cli.Config;
using Dbt.Cli.Consoles;
using Dbt.Cli.Control;
using Dbt.Xen;
using Dbt.Xen.Snapshot;

namespace Dbt.Cli.Running;

/// <content>A guest that comes from another daemon, or goes to one.</content>
internal sealed partial class Guest
{
    /// <summary>What its name ends with until it is there, and while what it leaves behind goes.</summary>
    private const string Incoming = "--incoming", Away = "--migratedaway";

    private string? _target;

    /// <summary>A guest that is to come.</summary>
    /// <param name="host">Where it will live.</param>
    /// <param name="config">What it was made from.</param>
    /// <param name="options">How it is run.</param>
    /// <param name="image">What it is made from when it starts anew.</param>
    /// <param name="header">Its name and UUID.</param>
    /// <param name="console">Its console.</param>
    /// <param name="errors">Where what we have to say goes.</param>
    /// <exception cref="ControlException">Another guest has its name or its UUID.</exception>
    public static Guest Expect(
        GuestHost host, GuestConfig config, GuestOptions options, GuestImage image, DomainHeader header, GuestConsole console, TextWriter errors) =>
        new(host, config, options, image, header, console, errors);

    /// <summary>Makes its domain, without pages or state.</summary>
    /// <exception cref="SnapshotException">It can't be.</exception>
    public DomainRestorer PrepareDomain(GuestImage image, DomainHeader header)
    {
        var restorer = new DomainRestorer(_host.Machine, header, GuestLife.Engine(_options, _code!.Store), header.Name, header.Uuid);
        GuestLife.Describe(restorer.Domain, Config, image.Symbols, _log);
        return restorer;
    }

    /// <summary>Its domain is there: it gets its devices, held. Their images are locked when the source lets go of them.</summary>
    /// <exception cref="SnapshotException">What is said of the devices is not good.</exception>
    /// <exception cref="Runtime.HostException">A disk or a network can't be used.</exception>
    public GuestLife Arrive(Domain domain, StateReader state, ImageKind kind)
    {
        _first = GuestLife.Adopt(domain, Config, Console, _host.Store, state, kind);

        // What it starts anew with is what it has, hot-plugged devices included.
        Config = Config with
        {
            Disks = [.. _first.Devices.Disks.Select(static disk => disk.Configuration with { LocksLater = false })],
            Networks = [.. _first.Devices.Networks.Select(static card => card.Card)],
        };
        return _first;
    }

    /// <summary>It runs, and takes its name.</summary>
    public void Arrived(string name)
    {
        try
        {
            _host.TakeName(name, () => Name = name);
        }
        catch (ControlException exception)
        {
            _errors.WriteLine($"dbt: {Name} came, and stays {Name}: {exception.Message}");
        }

        _ = LockDisksAsync(_first!);
    }

    /// <summary>It isn't to come.</summary>
    public void NeverCame()
    {
        _first = null;
        _code?.Dispose();
        _host.Remove(this);
        Console.End();
        Control.End();
    }

    /// <summary>It is being moved there; what <see cref="Departed"/> then says.</summary>
    public void SetTarget(string target) => _target = target;

    /// <summary>Whether it runs elsewhere, and what is here is on its way out.</summary>
    public bool HasDeparted { get; private set; }

    /// <summary>It runs elsewhere: what is here goes, under another name.</summary>
    public void Departed()
    {
        HasDeparted = true;
        string name = Name;
        try
        {
            _host.TakeName(_host.FreeName(name + Away), () => Name = name + Away);
        }
        catch (ControlException)
        {
            // The name it has is as good.
        }

        Leave(ExitStatus.Success, $"runs at {_target} now, as {name}");
    }

    private async Task LockDisksAsync(GuestLife life)
    {
        // The source closes them within milliseconds of hearing that the guest is here; or its host does, if it was killed.
        const int attempts = 300, milliseconds = 20;
        for (int i = 0; i < attempts && !life.Domain.IsStopped; i++)
        {
            if (life.Devices.TryLockDisks())
            {
                return;
            }

            await Task.Delay(milliseconds).ConfigureAwait(false);
        }

        _errors.WriteLine($"dbt: {Name}: warning: another program has a disk of this guest open still, and could write to it");
    }
}
