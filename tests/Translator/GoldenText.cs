using Dbt.Tests.Guests;

namespace Dbt.Tests.Translator;

/// <summary>Texts that are kept beside the tests which make them anew each time. <c>DBT_GOLDEN=write</c> writes them; the difference is for a person to read.</summary>
internal static class GoldenText
{
    /// <summary>Compares a text with the one that is kept.</summary>
    /// <param name="folder">A folder below tests/Translator.</param>
    /// <param name="name">Name of the text.</param>
    /// <param name="actual">What came out now.</param>
    public static void Check(string folder, string name, string actual)
    {
        string place = Path.Combine(Repository.Root, "tests", "Translator", folder, "Golden", name + ".txt");
        if (Environment.GetEnvironmentVariable("DBT_GOLDEN") == "write")
        {
            File.WriteAllText(place, actual);
        }

        Assert.Equal(File.ReadAllText(place), actual);
    }
}
