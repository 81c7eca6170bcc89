namespace Dbt.Cli.Migration;

/// <summary>A guest that is to go: what a migration wants of it. One thread calls.</summary>
internal interface IDepartingGuest
{
    /// <summary>What the target has to know beforehand.</summary>
    Messages.Offer Describe();

    /// <summary>Begins to log what is written, and says which pages there are.</summary>
    IReadOnlyList<uint> Begin();

    /// <summary>Adds the numbers of the pages that were written since the last call.</summary>
    void TakeWritten(List<uint> numbers);

    /// <summary>Copies a page's bytes; false where it isn't there any more.</summary>
    bool TryRead(uint number, Span<byte> page);

    /// <summary>Which code it runs, for the target to have ready. It runs on.</summary>
    ReadOnlySpan<byte> ListCode();

    /// <summary>Does what can be done before <see cref="Hold"/>, so that it takes less time then.</summary>
    void Prepare();

    /// <summary>Has it suspend itself, where it is to go so: it runs no more then. Otherwise nothing.</summary>
    /// <exception cref="MigrationException">It doesn't, or not so that it could go on there.</exception>
    /// <exception cref="OperationCanceledException">Somebody ended the waiting.</exception>
    void Suspend(CancellationToken cancel);

    /// <summary>Holds it, its devices at rest, and adds the pages that are left.</summary>
    void Hold(List<uint> last);

    /// <summary>Writes all that isn't in its pages. It is held.</summary>
    void WriteState(Stream state);

    /// <summary>It stays: goes on where it was held, or runs on where it wasn't. Also ends the log.</summary>
    void Stay();

    /// <summary>It is elsewhere: what is here goes.</summary>
    void Depart();

    /// <summary>Where it is now can't be found out: it stays held until that is known, or a person decides.</summary>
    /// <param name="why">One line.</param>
    void TellUndecided(string why);
}

/// <summary>A guest that comes. One thread calls.</summary>
internal interface IArrivingGuest
{
    /// <summary>Sets a page's bytes.</summary>
    /// <exception cref="MigrationException">It can't have such a page.</exception>
    void Put(uint number, ReadOnlySpan<byte> page);

    /// <summary>Makes a page zero.</summary>
    /// <exception cref="MigrationException">It can't have such a page.</exception>
    void PutZero(uint number);

    /// <summary>Makes code ready that the guest runs, as far as its pages are there.</summary>
    /// <exception cref="MigrationException">The list is none.</exception>
    void PrepareCode(ReadOnlySpan<byte> list);

    /// <summary>Takes the state up: all is checked and built, nothing runs yet.</summary>
    /// <param name="state">All of it.</param>
    /// <param name="took">Where it says what it spent on what, in nanoseconds.</param>
    /// <exception cref="MigrationException">It can't be.</exception>
    void Finish(Stream state, IDictionary<string, ulong> took);

    /// <summary>Lets it run. Nothing of it is told to anybody before.</summary>
    /// <param name="heldFor">How long it was held, as far as is known: its clock goes on by that.</param>
    void Run(TimeSpan heldFor);

    /// <summary>It isn't to be: everything that was made for it goes.</summary>
    void Drop();
}

/// <summary>Makes guests that come.</summary>
internal interface IArrivals
{
    /// <summary>Makes one of which only the pages and the state are missing: domain, devices, name.</summary>
    /// <exception cref="MigrationException">It can't be.</exception>
    IArrivingGuest Prepare(Messages.Offer offer);
}
