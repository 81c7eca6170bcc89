namespace Dbt.Xen.Snapshot;

/// <summary>Where the pages of a saved guest go.</summary>
public interface IPageSink
{
    /// <summary>How many pages it has so far.</summary>
    uint PageCount { get; }

    /// <summary>Where the 4096 bytes of a page go; zero where they were never written. Any thread, for different pages at the same time.</summary>
    /// <param name="number">The page's number: see <see cref="GuestPage"/>.</param>
    /// <exception cref="SnapshotException">The guest can't have that page.</exception>
    Span<byte> Page(uint number);
}
