using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Draws, runs and compares batches of vectors on one thread.</summary>
internal sealed class OracleWorker : IDisposable
{
    /// <summary>Vectors in a batch, about.</summary>
    public const int BatchSize = 4096;

    private readonly IOracleReference _native;
    private readonly GuestProcessor[] _guests;
    private readonly OracleFailures _failures;

    /// <param name="guests">The engines; disposed with this.</param>
    /// <param name="failures">Where differences are collected.</param>
    /// <param name="reference">What they are compared with; disposed with this.</param>
    public OracleWorker(GuestProcessor[] guests, OracleFailures failures, IOracleReference reference)
    {
        _native = reference;
        _guests = guests;
        _failures = failures;
    }

    /// <summary>The engines.</summary>
    public IReadOnlyList<GuestProcessor> Guests => _guests;

    /// <summary>Vectors compared so far, on all engines.</summary>
    public long Compared { get; private set; }

    /// <summary>Vectors of which nothing can be said: they reached into the harness, did not end, or are the processor's choice.</summary>
    public long Unusable { get; private set; }

    /// <summary>Runs of each encoding.</summary>
    public VectorCounts Counts { get; } = new();

    /// <summary>Draws and runs one batch.</summary>
    /// <param name="scenario">What is drawn.</param>
    /// <param name="seed">Reproduces it, with the number.</param>
    /// <param name="batch">The batch's number.</param>
    /// <param name="count">Vectors in it.</param>
    public void Run(OracleScenario scenario, int seed, int batch, int count)
    {
        var random = new Random(unchecked((seed * 1000003) ^ (batch * 7919)));
        byte[] background = Backgrounds.Make(random);
        var generator = new VectorGenerator(random, scenario.Rows, scenario.MostlyTranslated) { Choice = scenario.Segments };
        var vectors = new TestVector[count];
        for (int i = 0; i < count;)
        {
            TestVector vector = scenario.Make(generator, random);
            int states = Math.Min(scenario.States, count - i);
            Counts.Add(vector, states);
            vectors[i++] = vector;
            for (int state = 1; state < states; state++)
            {
                vectors[i++] = generator.Vary(vector);
            }
        }

        Outcome[] outcomes = _native.Run(background, vectors);
        for (int i = 0; i < count; i++)
        {
            One(scenario, background, vectors[i], outcomes[i], $"{scenario.Name}, seed {seed}, batch {batch}, vector {i}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (GuestProcessor guest in _guests)
        {
            guest.Dispose();
        }

        _native.Dispose();
    }

    private void One(OracleScenario scenario, byte[] background, TestVector vector, Outcome native, string origin)
    {
        if (native.Unusable)
        {
            Unusable++;
            return;
        }

        foreach (GuestProcessor guest in _guests)
        {
            Outcome outcome = guest.Run(background, vector);
            if (outcome.Unusable)
            {
                Unusable++;
                return;
            }

            if (OutcomeComparer.Compare(vector, native, outcome, scenario.Fx) is { } difference)
            {
                if (ProcessorsChoice.Allows(vector, native, outcome) || Damaged(background, vector, native))
                {
                    Unusable++;
                    return;
                }

                Fail(scenario, background, vector, guest, difference, origin);
            }
        }

        Compared++;
    }

    // A vector that reached into the harness may have damaged the record of another; alone that one gives something else then.
    private bool Damaged(byte[] background, TestVector vector, Outcome native)
    {
        Outcome alone = _native.Run(background, [vector])[0];
        return alone.Unusable || OutcomeComparer.Compare(vector, native, alone, fx: true) is not null;
    }

    private void Fail(OracleScenario scenario, byte[] background, TestVector vector, GuestProcessor guest, string difference, string origin)
    {
        if (!_failures.Shrinks)
        {
            _failures.Add(Kind(vector, guest, difference), $"{guest.Name}, {origin}\n{vector}{difference}");
            return;
        }

        if (Difference(scenario, background, vector, guest) is null)
        {
            // Right once the code is hot or cold again: nothing can be taken away from such an example.
            _failures.Add(Kind(vector, guest, difference), $"{guest.Name}, {origin}\n{vector}{difference}(does not show again)\n");
            return;
        }

        // Much of the same: what looks like a known kind is not shrunk again.
        if (vector.Code.Count == 1 && _failures.AddIfKnown(Kind(vector, guest, difference)))
        {
            return;
        }

        var shrinker = new Shrinker((memory, candidate) => Difference(scenario, memory, candidate, guest) is not null);
        (background, TestVector small) = shrinker.Shrink(background, vector);
        string final = Difference(scenario, background, small, guest) ?? difference + "(does not show again)\n";
        Outcome native = _native.Run(background, [small])[0];
        _failures.Add(
            Kind(small, guest, final),
            $"{guest.Name}, {origin}\n{small}native ends with vector {native.Vector} error {native.Error:x} cr2 {native.Cr2:x8} eip {native.Eip:x8}\n{final}");
    }

    private string? Difference(OracleScenario scenario, byte[] background, TestVector vector, GuestProcessor guest)
    {
        Outcome native = _native.Run(background, [vector])[0];
        if (native.Unusable)
        {
            return null;
        }

        Outcome outcome = guest.Run(background, vector);
        return outcome.Unusable || ProcessorsChoice.Allows(vector, native, outcome) ? null : OutcomeComparer.Compare(vector, native, outcome, scenario.Fx);
    }

    private static string Kind(TestVector vector, GuestProcessor guest, string difference)
    {
        var fields = difference.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(':')[0].Split('[')[0]).Distinct();
        var mnemonics = vector.Code.Where(c => c[0] != 0x90).TakeLast(2)
            .Select(c => Decoder.Create(vector.Bits, new ByteArrayCodeReader(c), 0).Decode().Mnemonic);
        return $"{guest.Name}: {string.Join(' ', mnemonics)} [{string.Join(' ', fields)}]{(vector.Bits == 16 ? " 16-bit" : "")}";
    }
}
