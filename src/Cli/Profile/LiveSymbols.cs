namespace Dbt.Cli.Profile;

/// <summary>Names for a live view: files are looked through again only when pages have come that weren't there before.</summary>
internal sealed class LiveSymbols(ProfileOptions options)
{
    // Looking through packages takes seconds, in which the view would stand still each time a page comes.
    private static readonly TimeSpan Often = TimeSpan.FromSeconds(10);

    private Symboliser? _symbols;
    private DateTime _made;
    private int _pages = -1;

    /// <summary>Sums a recording up.</summary>
    public ProfileSummary Summarise(ProfileRecording recording, ProfileTarget target)
    {
        if (_symbols is null || (recording.Pages.Count != _pages && DateTime.UtcNow - _made > Often))
        {
            _symbols = new Symboliser(recording, options.SystemMap, options.Symbols);
            (_pages, _made) = (recording.Pages.Count, DateTime.UtcNow);
        }

        return ProfileSummary.Of(recording, _symbols, target);
    }
}
