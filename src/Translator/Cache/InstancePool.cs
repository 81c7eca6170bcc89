using System.Runtime.InteropServices;
using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>
/// The instances of one engine: memory that its translations read, and who is meant by the numbers in it. On the processor's thread.
/// </summary>
internal sealed unsafe class InstancePool : IDisposable
{
    private readonly List<Translation?> _translations = [];
    private readonly List<Link?> _links = [];
    private readonly Stack<int> _freeTranslations = new(), _freeLinks = new();

    /// <summary>Gives a compiled translation its instance.</summary>
    /// <param name="translation">The translation.</param>
    /// <param name="counter">What its counter starts at.</param>
    public void Add(Translation translation, int counter)
    {
        InstanceLayout layout = translation.Code!.Instance;
        byte* instance = (byte*)NativeMemory.AlignedAlloc((nuint)layout.Size, 64);
        new Span<byte>(instance, layout.Size).Clear();
        *(long*)(instance + InstanceLayout.Number) = Take(_translations, _freeTranslations, translation);
        *(int*)(instance + InstanceLayout.Counter) = counter;
        for (int i = 0; i < layout.Pages.Count; i++)
        {
            *(long*)(instance + InstanceLayout.Page(i)) = translation.Pages[layout.Pages[i]];
        }

        foreach ((int offset, nint address) in layout.Stubs)
        {
            *(nint*)(instance + offset) = address;
        }

        foreach ((int offset, uint target) in layout.Links)
        {
            var cell = (LinkCell*)(instance + offset);
            int number = Take(_links, _freeLinks, null);
            cell->Number = number;
            var link = new Link(cell, number, target, translation.Code.IsNative, translation.IsWindowed);
            _links[number] = link;
            translation.Links.Add(link);
        }

        translation.Instance = (nint)instance;
    }

    /// <summary>The link of a cell, from <see cref="State.CpuState.ExitInfo"/>.</summary>
    public Link LinkOf(nint cell) => _links[(int)((LinkCell*)cell)->Number]!;

    /// <summary>The translation of an instance, from <see cref="State.CpuState.ExitInfo"/>.</summary>
    public Translation TranslationOf(nint instance) => _translations[(int)*(long*)(instance + InstanceLayout.Number)]!;

    /// <summary>Lets a translation's counter run down once more.</summary>
    public static void Recount(Translation translation, int counter) => *(int*)(translation.Instance + InstanceLayout.Counter) = counter;

    /// <summary>Gives a translation's instance back, if it has one; nothing leads to it any more.</summary>
    public void Free(Translation translation)
    {
        if (translation.Instance == 0)
        {
            return;
        }

        foreach (Link link in translation.Links)
        {
            link.Free();
            Give(_links, _freeLinks, link.Number);
        }

        translation.Links.Clear();
        Give(_translations, _freeTranslations, (int)*(long*)(translation.Instance + InstanceLayout.Number));
        NativeMemory.AlignedFree((void*)translation.Instance);
        translation.Instance = 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = 0; i < _translations.Count; i++)
        {
            if (_translations[i] is { } translation)
            {
                Free(translation);
            }
        }
    }

    private static int Take<T>(List<T?> list, Stack<int> free, T? item)
        where T : class
    {
        if (free.TryPop(out int number))
        {
            list[number] = item;
            return number;
        }

        list.Add(item);
        return list.Count - 1;
    }

    private static void Give<T>(List<T?> list, Stack<int> free, int number)
        where T : class
    {
        list[number] = null;
        free.Push(number);
    }
}
