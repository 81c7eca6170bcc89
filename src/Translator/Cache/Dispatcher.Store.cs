using System.Diagnostics;
using Dbt.Translator.Emit;

namespace Dbt.Translator.Cache;

/// <summary>What is taken over from the store of compiled code.</summary>
internal sealed unsafe partial class Dispatcher
{
    // Where a stored region's pages aren't all mapped yet, it is looked at again after so many executions, then four times as many.
    private const int FirstRetry = 16;
    private const int RetryFactor = 4;

    private long _takenOver, _nanosecondsSaved;

    /// <summary>Installs a stored region that is entered at a block, if there is one and all its bytes are there.</summary>
    private bool TryTakeOver(CodeBlock block, int executions)
    {
        block.NextLookUp = int.MaxValue;
        if (_policy.Store is not { } store || block.RegionPending || !Translatable.IsModeTranslated(block.Mode))
        {
            return false;
        }

        StoredRegion[] candidates = store.At(block.Eip, block.Mode, _compiler.Options);
        if (candidates.Length == 0 || !_cache.IsWorthTranslating(block.Host))
        {
            return false;
        }

        foreach (StoredRegion stored in candidates)
        {
            if (stored.Code is { } code)
            {
                if (_compiler.Place(stored, Resolve) is { } translation)
                {
                    Debug.Assert(translation.Pages[block.Eip >> 12] == block.ExecuteEntry, "The page of the block was looked up for it.");
                    translation.Code = code;
                    Install(translation);
                    Note(store, stored);
                    if (block.Region is not null)
                    {
                        block.RegionSize = translation.Shape.InstructionCount;
                        return true;
                    }
                }
            }
            else if (stored.Shape.Entry == block.Eip && executions >= FirstRetry && IsCompilationCheap && TryCompileAnew(store, stored, block))
            {
                return true;
            }
        }

        block.NextLookUp = (int)Math.Min(FirstRetry + ((long)executions * RetryFactor), int.MaxValue);
        GrantUntilLookUp(block);
        return false;
    }

    /// <summary>Compiles what was hot in another run, whose code is of no use here, before it is hot in this one.</summary>
    private bool TryCompileAnew(CodeStore store, StoredRegion stored, CodeBlock block)
    {
        if (_compiler.Place(stored, Resolve) is not { } translation)
        {
            return false;
        }

        translation.Region = stored.Shape.ToRegion(translation.Pages);
        return TryClaim(store, translation) && Compile(block, translation, _queue is not null);
    }

    /// <summary>Makes the interpreter come back when the store is to be asked.</summary>
    private static void GrantUntilLookUp(CodeBlock block)
    {
        if (block.Decoded is not { } decoded || decoded.Code == null || block.NextLookUp == int.MaxValue)
        {
            return;
        }

        uint until = (uint)Math.Max(1, (block.NextLookUp / decoded.Weight) - block.Executions);
        if (decoded.Code->Left > until)
        {
            decoded.Code->Granted -= decoded.Code->Left - until;
            decoded.Code->Left = until;
        }
    }

    /// <summary>Gives a region that is to be compiled the code of one like it, or makes sure that nobody else compiles it.</summary>
    /// <returns>False where somebody does; it is dropped then.</returns>
    private bool TryClaim(CodeStore store, Translation translation)
    {
        // In this order: whoever had the claim before has added what it compiled.
        translation.IsClaimed = store.TryClaim(translation.Shape);
        if (store.Find(translation.Shape) is { } stored && stored.Code is { } code)
        {
            _compiler.Unclaim(translation);
            translation.Code = code;
            Note(store, stored);
            return true;
        }

        if (!translation.IsClaimed)
        {
            _cache.Drop(translation);
        }

        return translation.IsClaimed;
    }

    private void Resolve(uint page) => _platform.LookAhead(_cpu, page);

    private void Note(CodeStore store, StoredRegion stored)
    {
        store.MarkUsed(stored);
        _takenOver++;
        _nanosecondsSaved += stored.Nanoseconds;
    }
}
