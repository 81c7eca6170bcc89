using System.Globalization;
using Dbt.Cli.Config;
using Dbt.Cli.Guests;
using Dbt.Cli.Packages;
using Dbt.Cli.Running;
using Dbt.Xen.Diagnostics;

namespace Dbt.Cli.Profile;

/// <summary>
/// Names for the guest's code: the kernel's by address, from what <c>dbt run</c> itself finds or --system-map names; programs' and
/// libraries' by the contents of their pages.
/// </summary>
internal sealed class Symboliser
{
    private const int User = 3;
    private const uint PageMask = 0xFFF;

    private readonly Dictionary<(int Page, uint Address, bool IsUser), CodePlace> _known = [];
    private readonly List<(uint Bias, ElfProgram Program)> _placed = [];
    private readonly ProfileRecording _recording;
    private readonly SymbolTable? _kernel;
    private readonly PageMatcher _pages;

    /// <param name="recording">What was recorded; complete, or no more of it is named.</param>
    /// <param name="systemMap">What --system-map names.</param>
    /// <param name="places">What --symbols names.</param>
    /// <exception cref="ProfileException">A file that the user named is of no use.</exception>
    public Symboliser(ProfileRecording recording, string? systemMap, IReadOnlyList<SymbolFiles.Place> places)
    {
        _recording = recording;
        string? kernel = recording.Facts.GetValueOrDefault(GuestFacts.Kernel);
        _kernel = KernelNames(kernel, systemMap ?? recording.Facts.GetValueOrDefault(GuestFacts.SystemMap));
        HashSet<int> user = [.. recording.Samples.Where(sample => sample.Page >= 0 && sample.Record.Cpl == User).Select(sample => sample.Page)];
        _pages = new PageMatcher(recording.Pages, user.Contains);
        foreach (SymbolFiles.Place place in places)
        {
            Look(place, named: true);
        }

        foreach (SymbolFiles.Place place in SymbolFiles.OfGuest(kernel, GuestStore.Default).TakeWhile(_ => !_pages.IsDone))
        {
            try
            {
                Look(place, named: false);
            }
            catch (PackageException)
            {
                // Nobody asked for it; there are names enough without.
            }
        }
    }

    /// <summary>How many names the kernel has, 0 where there are none.</summary>
    public int KernelNameCount => _kernel?.Count ?? 0;

    /// <summary>Files in which code was found, with the addresses where they are loaded.</summary>
    public SortedDictionary<string, SortedSet<uint>> Found { get; } = new(StringComparer.Ordinal);

    /// <summary>Where a sample was taken.</summary>
    public CodePlace PlaceOf(in TimedSample sample)
    {
        bool isUser = sample.Record.Cpl == User;
        (int, uint, bool) key = (sample.Page, sample.Record.Address, isUser);
        if (!_known.TryGetValue(key, out CodePlace place))
        {
            place = Find(sample.Page, sample.Record.Address, isUser);
            _known.Add(key, place);
        }

        return place;
    }

    /// <summary>A kernel's address, for whoever has no sample of it.</summary>
    public string? NameOfKernel(uint address) => _kernel?.Describe(address);

    private void Look(SymbolFiles.Place place, bool named)
    {
        foreach (ElfProgram program in SymbolFiles.Read(place))
        {
            if (place.Address is { } address)
            {
                _placed.Add((address - (program.Code.Min(segment => segment.Address) & ~PageMask), program));
                continue;
            }

            // A kernel of the user's: it is where it says.
            if (named && program.Code.Exists(segment => segment.Address >= 0x8000_0000))
            {
                _placed.Add((0, program));
            }

            _pages.Look(program);
        }
    }

    private CodePlace Find(int page, uint address, bool isUser)
    {
        if (_pages[page] is { } origin)
        {
            uint inFile = origin.Address + (address & PageMask);
            if (!Found.TryGetValue(origin.Program.Name, out SortedSet<uint>? bases))
            {
                Found.Add(origin.Program.Name, bases = []);
            }

            bases.Add(address - inFile);
            return new CodePlace(origin.Program.Name, origin.Program.NameOf(inFile) ?? Hex(inFile));
        }

        foreach ((uint bias, ElfProgram program) in _placed)
        {
            uint inFile = address - bias;
            if (program.Code.Exists(segment => inFile - segment.Address < segment.Length))
            {
                return new CodePlace(program.Name, program.NameOf(inFile) ?? Hex(inFile));
            }
        }

        if (_kernel?.Find(address) is { } function)
        {
            return new CodePlace(CodePlace.Kernel, function.Name);
        }

        return new CodePlace(isUser ? CodePlace.Unknown : CodePlace.Kernel, Hex(address));
    }

    private static string Hex(uint address) => address.ToString("x8", CultureInfo.InvariantCulture);

    private static SymbolTable? KernelNames(string? kernel, string? systemMap)
    {
        try
        {
            return GuestSymbols.Of(kernel == GuestFacts.Embedded ? null : kernel, systemMap).Value;
        }
        catch (ConfigException exception)
        {
            throw new ProfileException(exception.Message);
        }
    }
}
