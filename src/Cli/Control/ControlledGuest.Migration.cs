using Dbt.Cli.Migration;
using Dbt.Cli.Migration.Messages;
using Dbt.Devices;
using Dbt.Xen;

namespace Dbt.Cli.Control;

/// <content>Moving it to another daemon. Meanwhile nobody changes it: what is changed behind a capture would be lost.</content>
internal sealed partial class ControlledGuest
{
    private ControlledMigration? _migration;

    /// <summary>Moves it. Returns when it runs there. Takes as long as it takes, on a thread of its own.</summary>
    /// <param name="target">HOST[:PORT].</param>
    /// <param name="options">How.</param>
    /// <param name="suspended">It suspends itself before, and sets itself up anew there.</param>
    /// <param name="tell">How far it is.</param>
    /// <param name="cancel">Ends it until the guest is held.</param>
    /// <returns>What the pause was made of, and how long it was.</returns>
    /// <exception cref="ControlException">It stays here.</exception>
    /// <exception cref="OperationCanceledException">It stays here.</exception>
    public (IReadOnlyList<(string What, TimeSpan Took)> Parts, TimeSpan Held) Migrate(
        string target, MigrationOptions options, bool suspended, Action<MigrationProgress> tell, CancellationToken cancel)
    {
        var migration = new ControlledMigration();
        bool gone = false;
        DepartingGuest departing = Change((domain, devices) =>
        {
            CheckNotSaving();
            if (domain.IsStopped)
            {
                throw new ControlException(ControlError.Refused, $"{guest.Name} has stopped");
            }

            if (devices.WhyItStays is { } why)
            {
                throw new ControlException(ControlError.Refused, why);
            }

            GuestSuspension? suspension = suspended ? new GuestSuspension(guest.Name, domain, devices) : null;
            if (suspension is { IsAble: false })
            {
                throw new ControlException(ControlError.Refused, $"{suspension.Inability}; migrate it live (--kind live)");
            }

            if (suspension is not null && _paused)
            {
                throw new ControlException(ControlError.Refused, $"{guest.Name} is paused, so it can't suspend itself; dbt unpause it, or migrate it live (--kind live)");
            }

            _migration = migration;
            return new DepartingGuest(guest, domain, devices, Offer(), suspension, options.SuspendPatience, why => Undecided(migration, domain, target, why));
        });
        try
        {
            guest.SetTarget(target);
            using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, migration.Cancel);
            var path = new NetworkPath(target, new SecureConnection(MigrationIdentity.DefaultFolder));
            var outgoing = new OutgoingMigration(departing, path, options, tell);
            outgoing.Run(migration.Force, linked.Token);
            gone = true;
            return (outgoing.PauseParts, outgoing.Held);
        }
        catch (MigrationException exception)
        {
            throw new ControlException(ControlError.Refused, $"{guest.Name} stays here: {exception.Message}");
        }
        finally
        {
            // One that is gone is nobody's any more; others are told so until it is.
            lock (_lock)
            {
                _migration = gone ? migration : null;
            }

            migration.SetEnded();
        }
    }

    /// <summary>The domain is about to go: a migration that is under way ends first.</summary>
    private void EndMigration()
    {
        ControlledMigration? migration;
        lock (_lock)
        {
            migration = _migration;
        }

        migration?.EndAndWait();
        lock (_lock)
        {
            _migration = null;
        }
    }

    /// <summary>Who destroys a guest of which nobody knows where it is gives up what is here.</summary>
    private void GiveUpUndecided()
    {
        lock (_lock)
        {
            if (_migration?.Undecided is not null)
            {
                _migration.Decide(here: false);
            }
        }
    }

    /// <summary>What pausing and its opposite mean for one that is being migrated.</summary>
    /// <returns>Whether that was all.</returns>
    private bool DecideMigration(bool paused, bool force)
    {
        if (_migration?.Undecided is not { } why)
        {
            CheckStill();
            return false;
        }

        if (paused || !force)
        {
            throw new ControlException(ControlError.Refused,
                $"whether {guest.Name} runs at the other host can't be found out ({why}); dbt unpause --force lets it go on here, dbt destroy gives it up here");
        }

        _migration.Decide(here: true);
        return true;
    }

    private T Change<T>(Func<Domain, DeviceHost, T> action) => With((domain, devices) =>
    {
        CheckStill();
        return action(domain, devices);
    });

    private void CheckStill()
    {
        if (_migration is not null)
        {
            throw new ControlException(ControlError.Refused, $"{guest.Name} is being migrated");
        }
    }

    private Offer Offer() => new()
    {
        Configuration = guest.Config.Origin.Text,
        Source = guest.Config.Origin.Path ?? "",
        Folder = guest.Config.Origin.Folder,
        Engine = guest.Options.Engine.ToString().ToLowerInvariant(),
        Paused = _paused,
        Name = guest.Name,
        Uuid = guest.Uuid.ToString(),
    };

    private void Undecided(ControlledMigration migration, Domain domain, string target, string why)
    {
        migration.SetUndecided(why);
        domain.Log.Add($"the connection to {target} was lost when it was handed over, and {why}. Until it is known whether it runs there, it is held here: dbt unpause --force lets it go on here, dbt destroy gives it up here");
    }
}
