using System.Globalization;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// The sections of a saved state, read and kept until whoever they are for takes them; so their order in the stream doesn't matter. Each is there
/// once, and bounded in all.
/// </summary>
public sealed class StateReader
{
    /// <summary>Most sections, and bytes of all of them, memory left out: a domain has some hundred, of a few hundred KiB.</summary>
    public const int MostSections = 4096, MostBytes = 64 << 20;

    private readonly Dictionary<(SectionType Type, uint Instance), SectionReader> _sections = [];
    private long _bytes;

    /// <summary>Reads sections up to the end of their list.</summary>
    /// <exception cref="SnapshotException">They are damaged, or too many.</exception>
    public static StateReader Read(Stream stream)
    {
        var state = new StateReader();
        var sections = new SectionStream(stream);
        while (sections.Next() is { Type: not SectionType.End } section)
        {
            state.Add(section);
        }

        return state;
    }

    /// <summary>Adds a section that was read already.</summary>
    /// <exception cref="SnapshotException">There is one of its type and instance, or there are too many.</exception>
    public void Add(SectionReader section)
    {
        _bytes += section.Left;
        if (!Enum.IsDefined(section.Type))
        {
            throw new SnapshotException(string.Create(CultureInfo.InvariantCulture, $"saved state: it has a section of type {(uint)section.Type}, which this version doesn't know"));
        }

        if (_sections.Count == MostSections || _bytes > MostBytes)
        {
            throw new SnapshotException("saved state: it has more sections than any domain");
        }

        if (!_sections.TryAdd((section.Type, section.Instance), section))
        {
            throw section.Error("it is there twice");
        }
    }

    /// <summary>Another reader of the same sections, as far as nobody has taken them. Of sections that nobody has begun to read.</summary>
    public StateReader Copy()
    {
        var copy = new StateReader { _bytes = _bytes };
        foreach (((SectionType Type, uint Instance) key, SectionReader section) in _sections)
        {
            copy._sections.Add(key, section.Copy());
        }

        return copy;
    }

    /// <summary>Takes a section that has to be there.</summary>
    /// <exception cref="SnapshotException">It isn't.</exception>
    public SectionReader Take(SectionType type, uint instance = 0) =>
        TryTake(type, instance) ?? throw new SnapshotException(string.Create(CultureInfo.InvariantCulture, $"saved state: section {type} {instance} is missing"));

    /// <summary>Takes a section, null where there is none.</summary>
    public SectionReader? TryTake(SectionType type, uint instance = 0)
    {
        _ = _sections.Remove((type, instance), out SectionReader? section);
        return section;
    }

    /// <summary>Takes all sections of a type, in the order of their instances.</summary>
    public IReadOnlyList<SectionReader> TakeAll(SectionType type)
    {
        List<SectionReader> sections = [.. _sections.Values.Where(section => section.Type == type).OrderBy(static section => section.Instance)];
        sections.ForEach(section => _sections.Remove((type, section.Instance)));
        return sections;
    }

    /// <summary>Nothing may be left that nobody took.</summary>
    /// <exception cref="SnapshotException">Something is.</exception>
    public void End()
    {
        if (_sections.Values.FirstOrDefault() is { } left)
        {
            throw left.Error("nothing that it is for is there");
        }
    }
}
