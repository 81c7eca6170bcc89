namespace Dbt.Translator.Emit;

/// <summary>
/// Where in a translation's instance things lie. Emitted code knows nothing of the place and the engine it runs for: all that differs is in
/// this block of native memory, whose address is its second argument.
/// </summary>
/// <param name="pages">Pages whose execute entries the code compares.</param>
internal sealed class InstanceLayout(IEnumerable<uint> pages)
{
    /// <summary>Offset of the instance's number, by which its engine knows it.</summary>
    public const int Number = 0;

    /// <summary>Offset of the counter that a quick block's entry decrements.</summary>
    public const int Counter = 8;

    /// <summary>Bytes of a <see cref="Cache.LinkCell"/>.</summary>
    public const int LinkBytes = 32;

    /// <summary>Offset of the software TLB's generation at which the pages were last seen to be mapped as they should be.</summary>
    public const int Generation = 16;

    /// <summary>
    /// Offset of a way into the instance for who comes from elsewhere than another translation. A way is a block of memory that has, at <see cref="WayGeneration"/>, the generation at which all pages of the translation that it leads to
    /// were last seen mapped as they should be: a <see cref="Cache.LinkCell"/>, an entry of the <see cref="Cache.JumpTable"/>, or this.
    /// </summary>
    public const int OwnWay = Generation - WayGeneration;

    /// <summary>Offset of the generation in a way.</summary>
    public const int WayGeneration = 8;

    private const int FirstPage = 24;

    private int _size;

    /// <summary>A layout that was made before.</summary>
    /// <param name="pages">Pages whose execute entries the code compares.</param>
    /// <param name="links">Link cells.</param>
    /// <param name="stubs">Addresses of host code.</param>
    public InstanceLayout(IEnumerable<uint> pages, IEnumerable<(int Offset, uint Target)> links, IEnumerable<(int Offset, nint Address)> stubs)
        : this(pages)
    {
        Links.AddRange(links);
        Stubs.AddRange(stubs);
        _size = Math.Max(Links.Select(link => link.Offset + LinkBytes).DefaultIfEmpty().Max(), Stubs.Select(stub => stub.Offset + 8).DefaultIfEmpty().Max());
    }

    /// <summary>The pages, in the order of their entries.</summary>
    public List<uint> Pages { get; } = [.. pages];

    /// <summary>Link cells, and the EIP that each leads to.</summary>
    public List<(int Offset, uint Target)> Links { get; } = [];

    /// <summary>Addresses of host code that the code calls.</summary>
    public List<(int Offset, nint Address)> Stubs { get; } = [];

    /// <summary>Bytes of an instance so far.</summary>
    public int Size => _size != 0 ? _size : Page(Pages.Count);

    /// <summary>Offset of a page's execute entry, by its place in <see cref="Pages"/>.</summary>
    public static int Page(int index) => FirstPage + (index * 8);

    /// <summary>A cell for a link to an EIP of the same mode.</summary>
    public int AddLink(uint target)
    {
        int offset = Take(LinkBytes);
        Links.Add((offset, target));
        return offset;
    }

    /// <summary>A field that holds the address of host code.</summary>
    public int AddStub(nint address)
    {
        foreach ((int known, nint same) in Stubs)
        {
            if (same == address)
            {
                return known;
            }
        }

        int offset = Take(8);
        Stubs.Add((offset, address));
        return offset;
    }

    private int Take(int bytes)
    {
        int offset = Size;
        _size = offset + bytes;
        return offset;
    }
}
